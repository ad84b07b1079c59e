"use strict";
/* The script of a report. It draws the charts again from the numbers beside them, by steps, tokens
 * or time, smoothed, on a logarithmic scale, zoomed; shows values under the cursor; gives CSV; and
 * lets samples be looked through. The page is whole without it. What is chosen stands behind the #
 * of the address, so that it outlives a reload and can be sent to others. */
(function () {

/* ---- what is chosen ---- */

const data = JSON.parse(document.getElementById("page").textContent);
const axes = { step: "steps", tokens: "tokens", time: "time" };
const standard = { x: "step", smooth: "3.3", log: "0", from: "", to: "" };
const chosen = Object.assign({}, standard);

function read_address() {
	for (const [key, value] of new URLSearchParams(location.hash.slice(1)))
		if (key in standard)
			chosen[key] = value;
	if (!(chosen.x in axes))
		chosen.x = "step";
}

function write_address() {
	const said = new URLSearchParams();
	for (const key in standard)
		if (chosen[key] !== standard[key])
			said.set(key, chosen[key]);
	const text = said.toString();
	try {
		history.replaceState(null, "", text ? "#" + text : location.pathname + location.search);
	} catch (refused) { /* of a page that has no address of its own */
	}
}

/* ---- small things ---- */

function element(name, attributes, ...children) {
	const e = document.createElement(name);
	for (const key in attributes || {})
		if (key.startsWith("on"))
			e.addEventListener(key.slice(2), attributes[key]);
		else if (attributes[key] !== false && attributes[key] != null)
			e.setAttribute(key, attributes[key] === true ? "" : attributes[key]);
	e.append(...children.filter(c => c !== null));
	return e;
}

function escaped(s) {
	return String(s).replace(/[&<>"']/g, c => "&#" + c.charCodeAt(0) + ";");
}

function sums(distances) {
	let sum = 0;
	return (distances || []).map(d => (sum += d));
}

/* Digits enough to tell neighbours apart. */
function number(v) {
	const size = Math.abs(v);
	if (v === null || !isFinite(v))
		return "–";
	if (size >= 1e5)
		return v.toLocaleString("en", { maximumFractionDigits: 0 });
	return String(+v.toPrecision(4)).replace("e+", "e");
}

function seconds(v) {
	const s = Math.round(v), two = n => String(n).padStart(2, "0");
	return s < 60 ? +v.toPrecision(3) + " s" :
	       Math.floor(s / 3600) + ":" + two(Math.floor(s / 60) % 60) + ":" + two(s % 60);
}

/* The first i with list[i] >= v. */
function find(list, v) {
	let low = 0, high = list.length;
	while (low < high) {
		const middle = (low + high) >> 1;
		if (list[middle] < v)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

function nearest(list, v) {
	const i = find(list, v);
	return i === 0 ? 0 : i === list.length || v - list[i - 1] < list[i] - v ? i - 1 : i;
}

function between(xs, ys, x) {
	const i = find(xs, x);
	if (!xs.length)
		return x;
	if (i === 0 || xs[i] === x || i === xs.length)
		return ys[Math.min(i, xs.length - 1)];
	return ys[i - 1] + (x - xs[i - 1]) / (xs[i] - xs[i - 1]) * (ys[i] - ys[i - 1]);
}

/* ---- charts ---- */

const L = 58, R = 410, T = 8, B = 194, W = 420, H = 220;
const runs = data.runs.map(r => ({ name: r.n, step: sums(r.x), tokens: sums(r.t), time: sums(r.s) }));
const say = element("p", { class: "say", "aria-live": "polite" });

function has_axis(axis) {
	return axis === "step" || (runs.length > 0 && runs.every(r => r[axis].length > 0));
}

/* Where the points of a line lie on the chosen axis. Means over runs stay where they are. */
function places(chart, line) {
	if (chart.axis === chart.x)
		return line.step;
	const run = runs[line.r];
	return line.step.map(s => between(run.step, run[chart.axis], s));
}

function axis_of(chart) {
	const movable = chart.x === "step" && chart.lines.every(l => l.r >= 0);
	return chart.x !== "step" ? "tokens" : movable ? chosen.x : "step";
}

/* Of the chart's own axis the range that is zoomed to, or all. */
function range_of(chart) {
	let low = Infinity, high = -Infinity;
	for (const line of chart.lines)
		if (line.at.length) {
			low = Math.min(low, line.at[0]);
			high = Math.max(high, line.at[line.at.length - 1]);
		}
	if (chosen.from !== "" && chart.axis === chosen.x && chart.x === "step") {
		low = Math.max(low, +chosen.from);
		high = Math.min(high, +chosen.to);
	}
	return high > low ? [low, high] : [low - 1, low + 1];
}

function smooth(y) {
	const share = +chosen.smooth / 100, decay = share > 0 ? Math.exp(-1 / (share * y.length)) : 0;
	let weight = 0, mean = 0;
	return y.map(v => {
		if (v === null)
			return null;
		weight = 1 + decay * weight;
		mean += (v - mean) / weight;
		return mean;
	});
}

function nice(span) {
	const power = Math.pow(10, Math.floor(Math.log10(span / 5))), part = span / 5 / power;
	return power * (part > 5 ? 10 : part > 2 ? 5 : part > 1 ? 2 : 1);
}

function ticks(low, high, step) {
	const list = [];
	for (let k = Math.ceil(low / step - 1e-6); k * step <= high + 1e-6 * step; k++)
		list.push(+(k * step).toPrecision(10));
	return list;
}

function log_ticks(low, high) {
	const list = [];
	for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e++)
		for (const m of high / low > 1e3 ? [1] : [1, 2, 5])
			if (m * 10 ** e >= low * .999 && m * 10 ** e <= high * 1.001)
				list.push(+(m * 10 ** e).toPrecision(3));
	return list.length > 12 ? list.filter((_, i) => i % Math.ceil(list.length / 8) === 0) : list;
}

/* Noise of rounding is no trend, and a constant lies in the middle. */
function opened(low, high, exact) {
	const largest = Math.max(Math.abs(low), Math.abs(high)), noise = exact ? 1e-9 : 1e-6;
	if (high - low > largest * noise && (exact || high - low > noise))
		return [low, high];
	if (largest <= (exact ? 0 : noise))
		return [0, 1];
	return [Math.min(0, low + high), Math.max(0, low + high)];
}

function scale_y(chart) {
	let low = Infinity, high = -Infinity;
	const log = chosen.log === "1", [from, to] = chart.range;
	for (const line of chart.lines)
		line.y.forEach((y, i) => {
			const e = line.e ? line.e[i] : 0;
			if (y === null || line.at[i] < from || line.at[i] > to || (log && y <= 0))
				return;
			low = Math.min(low, log && y - e <= 0 ? y : y - e);
			high = Math.max(high, y + e);
		});
	if (low > high)
		[low, high] = log ? [.1, 1] : [0, 1];
	if (log) {
		if (high < low * 1.5)
			[low, high] = [low / 2, high * 2];
		const a = Math.log(low), b = Math.log(high);
		chart.y = v => v > 0 ? B - (Math.log(v) - a) / (b - a) * (B - T) : B;
		return log_ticks(low, high);
	}
	[low, high] = opened(low, high, chart.kind === "exact");
	const step = nice(high - low);
	low = Math.floor(low / step) * step;
	high = Math.ceil(high / step) * step;
	chart.y = v => B - (v - low) / (high - low) * (B - T);
	return ticks(low, high, step);
}

function tick_text(v, axis) {
	if (axis === "time")
		return v >= 7200 ? +(v / 3600).toPrecision(3) + "h" :
		       v >= 120 ? +(v / 60).toPrecision(3) + "m" : v + "s";
	const size = Math.abs(v) >= 1e9 ? 3 : Math.abs(v) >= 1e6 ? 2 : Math.abs(v) >= 1e4 ? 1 : 0;
	return +(v / 1000 ** size).toPrecision(6) + ["", "k", "M", "G"][size];
}

const time_steps = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 18000, 36000,
	86400];

function grid(chart, y_ticks) {
	const [from, to] = chart.range;
	let step = nice(to - from), out = "";
	if (chart.axis === "time" && to - from > 5)
		step = time_steps.find(s => (to - from) / s <= 6) || 86400 * Math.ceil((to - from) / 5e5);
	for (const v of ticks(from, to, chart.axis === "step" ? Math.max(1, step) : step)) {
		const x = chart.px(v);
		out += `<text x="${x > R - 8 ? W - 2 : x.toFixed(1)}" y="${B + 18}" text-anchor="` +
		       `${x > R - 8 ? "end" : "middle"}">${tick_text(v, chart.axis)}</text>`;
	}
	for (const v of y_ticks) {
		const y = chart.y(v).toFixed(1);
		out += `<line class="grid" x1="${L}" x2="${R}" y1="${y}" y2="${y}"/>` +
		       `<text x="${L - 6}" y="${+y + 4}" text-anchor="end">${tick_text(v)}</text>`;
	}
	return out;
}

function path(chart, line, y) {
	let out = "", drawn = false;
	line.at.forEach((x, i) => {
		if (y[i] === null || (chosen.log === "1" && y[i] <= 0)) {
			drawn = false;
			return;
		}
		out += (drawn ? "L" : "M") + chart.px(x).toFixed(1) + " " + chart.y(y[i]).toFixed(1);
		drawn = true;
	});
	return out;
}

function shade(chart, line) {
	const up = line.at.map((x, i) => chart.px(x).toFixed(1) + " " +
	                                 chart.y(line.y[i] + line.e[i]).toFixed(1)),
	      down = line.at.map((x, i) => chart.px(x).toFixed(1) + " " +
	                                   chart.y(line.y[i] - line.e[i]).toFixed(1));
	return `<path class="shade k${line.c}" d="M${up.join("L")}L${down.reverse().join("L")}Z"/>`;
}

function marks(chart, line) {
	return `<g class="k${line.c}">` + line.at.map((x, i) => {
		const px = chart.px(x).toFixed(1), e = line.e ? line.e[i] : 0;
		return (e > 0 ? `<line class="bar" x1="${px}" x2="${px}" ` +
		                `y1="${chart.y(line.y[i] - e).toFixed(1)}" ` +
		                `y2="${chart.y(line.y[i] + e).toFixed(1)}"/>` : "") +
		       `<circle class="dot" cx="${px}" cy="${chart.y(line.y[i]).toFixed(1)}" r="2.2"/>`;
	}).join("") + "</g>";
}

function drawn(chart, line) {
	const like = extra => `<path class="line${extra} k${line.c} d${line.d}" d="`;
	if (chart.kind === "bands")
		return (line.e ? shade(chart, line) : "") + like("") + path(chart, line, line.y) + '"/>';
	if (line.e || line.y.length <= 30)
		return like("") + path(chart, line, line.y) + '"/>' + marks(chart, line);
	if (chart.kind === "exact" || !(+chosen.smooth > 0))
		return like("") + path(chart, line, line.y) + '"/>';
	return like(" raw") + path(chart, line, line.y) + '"/>' +
	       like("") + path(chart, line, smooth(line.y)) + '"/>';
}

/* "Reward: 0.1 at step 1 to 0.8 at step 100, between 0.05 and 0.9" for those who do not see it. */
function words(chart) {
	return chart.title + ". " + chart.lines.map(line => {
		const y = line.y.filter(v => v !== null), n = line.at.length;
		return (chart.lines.length > 1 ? line.n + ": " : "") + number(line.y[0]) + " at " +
		       place_text(chart, line.at[0]) + ", " + number(line.y[n - 1]) + " at " +
		       place_text(chart, line.at[n - 1]) + ", between " + number(Math.min(...y)) +
		       " and " + number(Math.max(...y));
	}).join("; ") + ". Arrow keys read values.";
}

function place_text(chart, x) {
	return chart.axis === "time" ? seconds(x) :
	       chart.axis === "tokens" ? number(x) + " tokens" : "step " + number(x);
}

function draw(chart) {
	chart.axis = axis_of(chart);
	for (const line of chart.lines)
		line.at = places(chart, line);
	chart.range = range_of(chart);
	const [from, to] = chart.range;
	chart.px = v => L + (v - from) / (to - from) * (R - L);
	const y_ticks = scale_y(chart);
	chart.svg.innerHTML = `<clipPath id="${chart.id}"><rect x="${L - 3}" y="${T - 3}" ` +
		`width="${R - L + 6}" height="${B - T + 6}"/></clipPath>` + grid(chart, y_ticks) +
		`<g clip-path="url(#${chart.id})">` + chart.lines.map(l => drawn(chart, l)).join("") +
		`</g><rect class="chosen" y="${T}" height="${B - T}" width="0"/>` +
		`<line class="cursor" y1="${T}" y2="${B}" visibility="hidden"/><g class="at"></g>` +
		(chart.axis === "step" && chart.x === "step" ? "" :
		 `<text x="${R}" y="${H + 10}" text-anchor="end">${axes[chart.axis]}</text>`);
	chart.svg.setAttribute("viewBox", `0 0 ${W} ${H + 14}`);
	chart.svg.setAttribute("aria-label", words(chart));
}

/* ---- values under the cursor ---- */

/* At one place: of each line its point that is nearest, if it is near at all. */
function values(chart, x) {
	const near = (chart.range[1] - chart.range[0]) / 12;
	return chart.lines.map(line => {
		const i = nearest(line.at, x);
		return line.at.length && Math.abs(line.at[i] - x) <= near && line.y[i] !== null ?
		       { line, i, x: line.at[i], y: line.y[i], e: line.e ? line.e[i] : 0 } : null;
	}).filter(v => v);
}

function show(chart, x) {
	const found = values(chart, x);
	hide(chart);
	if (!found.length)
		return "";
	const at = found.reduce((a, b) => Math.abs(b.x - x) < Math.abs(a.x - x) ? b : a).x;
	const cursor = chart.svg.querySelector(".cursor"), px = chart.px(at);
	cursor.setAttribute("x1", px);
	cursor.setAttribute("x2", px);
	cursor.setAttribute("visibility", "visible");
	chart.svg.querySelector(".at").innerHTML = found.map(v =>
		`<g class="k${v.line.c}"><circle class="dot" cx="${chart.px(v.x).toFixed(1)}" ` +
		`cy="${chart.y(v.y).toFixed(1)}" r="3.5"/></g>`).join("");
	const text = v => number(v.y) + (v.e > 0 ? " ± " + number(v.e) : "");
	chart.tip.innerHTML = "<b>" + place_text(chart, at) + "</b>" + found.map(v =>
		`<div class="k${v.line.c}"><i></i>` +
		(chart.lines.length > 1 ? escaped(v.line.n) + " " : "") + escaped(text(v)) + "</div>").join("");
	chart.tip.hidden = false;
	const box = chart.svg.getBoundingClientRect(), own = chart.figure.getBoundingClientRect(),
	      left = box.left - own.left + px / W * box.width, right = left > own.width / 2;
	chart.tip.style.left = right ? "" : left + 12 + "px";
	chart.tip.style.right = right ? own.width - left + 12 + "px" : "";
	chart.tip.style.top = box.top - own.top + 12 + "px";
	chart.at = at;
	return place_text(chart, at) + ": " +
	       found.map(v => (chart.lines.length > 1 ? v.line.n + " " : "") + text(v)).join(", ");
}

function hide(chart) {
	chart.svg.querySelector(".cursor").setAttribute("visibility", "hidden");
	chart.svg.querySelector(".at").innerHTML = "";
	chart.tip.hidden = true;
}

function place_of(chart, event) {
	const box = chart.svg.getBoundingClientRect(), x = (event.clientX - box.left) / box.width * W;
	const [from, to] = chart.range;
	return from + (Math.min(R, Math.max(L, x)) - L) / (R - L) * (to - from);
}

/* ---- zoom ---- */

function zoom(chart, from, to) {
	if (chart && (chart.axis !== chosen.x || chart.x !== "step"))
		return;
	chosen.from = from === null ? "" : String(+from.toPrecision(7));
	chosen.to = from === null ? "" : String(+to.toPrecision(7));
	draw_all();
}

function drag(chart) {
	let began = null, moved = false;
	const band = () => chart.svg.querySelector(".chosen");
	chart.svg.addEventListener("pointerdown", e => {
		if (e.button !== 0)
			return;
		began = place_of(chart, e);
		moved = false;
		busy = true;
		chart.svg.setPointerCapture(e.pointerId);
	});
	chart.svg.addEventListener("pointermove", e => {
		const x = place_of(chart, e);
		if (began === null) {
			show(chart, x);
			return;
		}
		const a = chart.px(Math.min(began, x)), b = chart.px(Math.max(began, x));
		moved = moved || b - a > 6;
		band().setAttribute("x", a);
		band().setAttribute("width", b - a);
	});
	const end = e => {
		const x = place_of(chart, e), from = began;
		began = null;
		busy = false;
		band().setAttribute("width", 0);
		if (from !== null && moved && e.type === "pointerup")
			zoom(chart, Math.min(from, x), Math.max(from, x));
	};
	chart.svg.addEventListener("pointerup", end);
	chart.svg.addEventListener("pointercancel", end);
	chart.svg.addEventListener("pointerleave", () => began === null && hide(chart));
	chart.svg.addEventListener("dblclick", () => zoom(null, null, null));
}

function keys(chart) {
	chart.svg.addEventListener("keydown", e => {
		const [from, to] = chart.range, all = chart.lines.reduce((a, b) =>
			b.at.length > a.at.length ? b : a).at.filter(x => x >= from && x <= to);
		let i = chart.at === undefined ? -1 : nearest(all, chart.at);
		const half = (to - from) / 4;
		if (e.key === "ArrowRight")
			i = Math.min(all.length - 1, i + 1);
		else if (e.key === "ArrowLeft")
			i = Math.max(0, i - 1);
		else if (e.key === "Home")
			i = 0;
		else if (e.key === "End")
			i = all.length - 1;
		else if (e.key === "+" && i >= 0)
			return zoom(chart, all[i] - half, all[i] + half);
		else if (e.key === "Escape" || e.key === "-")
			return zoom(null, null, null);
		else
			return;
		e.preventDefault();
		say.textContent = show(chart, all[i]);
	});
	chart.svg.addEventListener("blur", () => hide(chart));
}

/* ---- CSV ---- */

function csv(list) {
	const field = v => /[",\n]/.test(v) ? '"' + String(v).replace(/"/g, '""') + '"' : String(v);
	const rows = [["chart", "line", "step", chosen.x, "value", "error"]];
	for (const chart of list)
		for (const line of chart.lines)
			line.at.forEach((x, i) => {
				if (x >= chart.range[0] && x <= chart.range[1] && line.y[i] !== null)
					rows.push([chart.title, line.n, line.step[i], x, line.y[i],
					           line.e ? line.e[i] : ""]);
			});
	return rows.map(r => r.map(field).join(",")).join("\n") + "\n";
}

function save(name, text) {
	const url = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
	const a = element("a", { href: url, download: name });
	document.body.append(a);
	a.click();
	a.remove();
	setTimeout(() => URL.revokeObjectURL(url), 1000);
}

function file_name(what) {
	return what.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "") + ".csv";
}

/* ---- the charts of the page ---- */

const charts = [];
let busy = false;

function take(figure, source, i) {
	const given = JSON.parse(source.textContent), title = figure.querySelector("figcaption");
	if (given.kind === "shares")
		return;
	const chart = Object.assign(given, {
		figure, id: "clip" + i, svg: figure.querySelector("svg"),
		title: title.firstChild.textContent,
		tip: element("div", { class: "tip", hidden: true }),
	});
	for (const line of chart.lines) {
		line.step = sums(line.x);
		if (line.r >= 0 && !runs[line.r])
			line.r = -1;
	}
	chart.svg.setAttribute("class", "plot");
	chart.svg.setAttribute("tabindex", "0");
	title.append(element("button", {
		type: "button", title: "these values as a file",
		onclick: () => save(file_name(chart.title), csv([chart])),
	}, "CSV"));
	figure.append(chart.tip);
	charts.push(chart);
	draw(chart);
	drag(chart);
	keys(chart);
}

function draw_all() {
	write_address();
	charts.forEach(draw);
	for (const reset of document.querySelectorAll(".reset"))
		reset.disabled = chosen.from === "";
}

function tools() {
	const x = element("select", { onchange: e => {
		chosen.x = e.target.value;
		chosen.from = chosen.to = "";
		draw_all();
	} }, ...Object.keys(axes).filter(has_axis).map(a =>
		element("option", { value: a, selected: a === chosen.x }, axes[a])));
	const smoothing = element("input", { type: "range", min: 0, max: 20, step: .1,
		value: chosen.smooth, oninput: e => {
			chosen.smooth = e.target.value;
			draw_all();
		} });
	const log = element("input", { type: "checkbox", checked: chosen.log === "1", onchange: e => {
		chosen.log = e.target.checked ? "1" : "0";
		draw_all();
	} });
	const box = document.getElementById("tools");
	box.className = "controls";
	box.setAttribute("role", "group");
	box.setAttribute("aria-label", "charts");
	box.append(element("label", {}, "by", x), element("label", {}, "smoothing", smoothing),
		element("label", {}, log, "logarithmic"),
		element("button", { type: "button", class: "reset", disabled: chosen.from === "",
			onclick: () => zoom(null, null, null) }, "reset zoom"),
		element("button", { type: "button", onclick: () => save("report.csv", csv(charts)) },
			"CSV of what is shown"),
		element("span", {}, "drag to zoom"), say);
}

/* ---- samples ---- */

const SHOWN = 20;

function sample(row, prompts, over_time) {
	const mark = row.k > 0 ? ["right", "✓ right"] : row.k === 0 ? ["wrong", "✗ wrong"] :
	             ["", "? unknown"];
	const more = n => n ? element("i", {}, " … and " + n + " bytes more") : null;
	const parts = Object.entries(row.v || {}).map(([name, v]) => name + " " + number(v));
	return element("article", {},
		element("p", {}, element("b", { class: mark[0] }, mark[1]), ` · step ${row.s} · `,
			element("button", { type: "button", class: "link",
				title: "this problem at every step", onclick: () => over_time(row.i) },
				row.i || "problem"),
			` · reward ${number(row.r)} · ${row.t} tokens · ${row.e || ""}`,
			row.g ? ` · ${row.g}` : ""),
		parts.length ? element("p", { class: "parts" }, parts.join(" · ")) : null,
		element("details", {}, element("summary", {}, "prompt"),
			element("pre", {}, prompts[row.p])),
		element("div", { class: "completion" },
			element("pre", {}, row.c || "", more(row.c_more))),
		row.a !== undefined ? element("p", {}, "expected: ",
			element("code", {}, row.a)) : null);
}

const marks_of = {
	all: () => true, right: r => r.k > 0, wrong: r => r.k === 0, unknown: r => r.k < 0,
	cut: r => r.e === "length" || r.e === "context",
};

function options(select, values, chosen_value) {
	select.append(...values.map(([value, text]) =>
		element("option", { value, selected: String(value) === String(chosen_value) }, text)));
	return select;
}

function explore(box, source) {
	const { rows, prompts, kept } = JSON.parse(source.textContent);
	const steps = [...new Set(rows.map(r => r.s))], groups = [...new Set(rows.map(r => r.g || ""))];
	const find = { step: String(steps[steps.length - 1]), mark: "all", group: "", words: "",
	               problem: null, shown: SHOWN };
	const list = element("div", { class: "samples" }), count = element("span", { role: "status" });
	const set = key => e => {
		find[key] = e.target.value;
		find.problem = null;
		find.shown = SHOWN;
		fill();
	};
	const controls = element("div", { class: "controls", role: "group", "aria-label": "completions" },
		element("label", {}, "step", options(element("select", { class: "steps",
			onchange: set("step") }), [["", "all"], ...steps.map(s => [s, s])], find.step)),
		element("label", {}, "show", options(element("select", { class: "marks",
			onchange: set("mark") }), Object.keys(marks_of).filter(m =>
			m === "all" || rows.some(marks_of[m])).map(m => [m, m]), "all")),
		groups.length > 1 ? element("label", {}, "category", options(element("select",
			{ onchange: set("group") }), [["", "all"], ...groups.filter(g => g).map(g => [g, g])],
			"")) : null,
		element("input", { type: "search", placeholder: "words in it", "aria-label": "words in it",
			oninput: set("words") }), count);

	function over_time(problem) {
		find.problem = problem;
		find.shown = SHOWN;
		fill();
	}

	function is_found(r) {
		if (find.problem !== null)
			return r.i === find.problem;
		return (find.step === "" || String(r.s) === find.step) && marks_of[find.mark](r) &&
		       (find.group === "" || r.g === find.group) && (find.words === "" ||
		       (prompts[r.p] + r.c + (r.a || "") + r.i).toLowerCase()
		       .includes(find.words.toLowerCase()));
	}

	function fill() {
		const found = rows.filter(is_found), left = found.length - find.shown;
		list.className = find.problem === null ? "samples" : "samples over";
		list.replaceChildren(...found.slice(0, find.shown).map(r => sample(r, prompts, over_time)));
		if (left > 0)
			list.append(element("p", { class: "more" }, element("button", { type: "button",
				onclick: () => { find.shown += SHOWN; fill(); } }, `${left} more`)));
		count.replaceChildren(find.problem === null ?
			`${found.length} of ${rows.length} completions, from ${steps.length} of ${kept} kept steps` :
			element("span", {}, element("b", {}, find.problem), ` at ${found.length} steps `,
				element("button", { type: "button", onclick: () => {
					find.problem = null;
					fill();
				} }, "back to all")));
	}
	box.replaceChildren(controls, list);
	fill();
}

/* ---- a run that lives ---- */

const RELOAD = 10, OLD = 600;

function live() {
	const line = document.getElementById("live"), last = new Date(document.lastModified),
	      age = (Date.now() - last) / 1000, old = age > OLD;
	const box = element("input", { type: "checkbox", checked: true });
	line.className = old ? "still" : "";
	line.append(element("b", {}, old ? "no news" : "● live"),
		` step ${data.step} of ${data.last}, written ${last.toLocaleTimeString()} `,
		element("label", {}, box, ` loads itself again every ${RELOAD} s`));
	setInterval(() => {
		const typing = document.activeElement && document.activeElement.type === "search";
		if (box.checked && !busy && !typing && !document.hidden)
			location.reload();
	}, 1000 * (old ? 6 * RELOAD : RELOAD));
}

read_address();
if (!has_axis(chosen.x))
	chosen.x = "step";
document.querySelectorAll("figure").forEach((figure, i) => {
	const source = figure.querySelector("script");
	if (source)
		take(figure, source, i);
});
tools();
document.querySelectorAll(".explorer").forEach(box => {
	const source = box.querySelector("script.rows");
	if (source)
		explore(box, source);
});
if (data.live)
	live();
}());
