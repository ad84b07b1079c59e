"use strict";
/* The script of a worked step: completions token by token, coloured by what is chosen. */
(function () {

const rows = JSON.parse(document.getElementById("rows").textContent).rows;
for (const row of rows)
	row.change = row.after.map((v, t) => v - row.logp[t]);

/* both: of either sign, 0 in the middle (or 1, of a ratio) */
const kinds = [
	{ key: "logp", name: "log-prob", help: "how sure the model was of the token; 0 is certain" },
	{ key: "entropy", name: "entropy", help: "how open the choice was, in nats" },
	{ key: "advantage", name: "advantage", both: true, help: "better or worse than expected" },
	{ key: "ratio", name: "ratio", both: true, middle: 1,
	  help: "probability now over that when it was sampled" },
	{ key: "c", name: "coefficient", both: true, turned: true,
	  help: "green: the update makes it likelier; red: rarer" },
	{ key: "change", name: "change", both: true,
	  help: "log-probability after the step less before" },
].filter(k => rows.every(r => r[k.key]));
let chosen = kinds[0];

function number(v, signed) {
	if (v === null || v === undefined)
		return "–";
	const s = Math.abs(v) >= 1e-3 || v === 0 ? String(+v.toPrecision(4)) : v.toExponential(2);
	return (signed && v > 0 ? "+" : "") + s.replace("-", "−");
}

function largest(kind) {
	let most = 0;
	for (const row of rows)
		for (const v of row[kind.key])
			if (v !== null)
				most = Math.max(most, Math.abs(v - (kind.middle || 0)));
	return most;
}

/* Paper where there is nothing, full colour at the largest value of the group. */
function colour(kind, v, most) {
	const from = (v - (kind.middle || 0)) * (kind.turned ? -1 : 1);
	const share = most > 0 ? Math.abs(from) / most : 0;
	const name = !kind.both ? "--c0" : from > 0 ? "--right" : "--wrong";
	return `color-mix(in srgb, var(${name}) ${(62 * Math.sqrt(share)).toFixed(1)}%, transparent)`;
}

/* ---- tokens ---- */

const detail = document.createElement("div");
detail.className = "detail";
detail.setAttribute("role", "status");

function tell(row, t) {
	detail.textContent = JSON.stringify(row.w[t]) + "   " + kinds.map(k =>
		k.name + " " + number(row[k.key][t], k.both && !k.middle)).join("   ") +
		(row.reference ? "   reference " + number(row.reference[t]) : "") +
		(row.gain ? "   weight " + number(row.gain[t]) : "") +
		(row.trained[t] ? "" : "   (no loss: the world wrote it)");
}

function token(row, t) {
	const e = document.createElement("span");
	const text = row.w[t];
	if (/\n/.test(text) || text === "") {
		const sign = document.createElement("i");
		sign.className = "sign";
		sign.textContent = text === "" ? "·" : "⏎";
		e.append(sign);
	}
	e.append(text);
	e.className = row.trained[t] ? "" : "seen";
	e.tabIndex = t === 0 ? 0 : -1;
	e.addEventListener("pointerenter", () => tell(row, t));
	e.addEventListener("focus", () => tell(row, t));
	return e;
}

function fill(box, row) {
	const tokens = row.w.map((_, t) => token(row, t));
	box.replaceChildren(...tokens);
	box.addEventListener("keydown", e => {
		const at = tokens.indexOf(document.activeElement);
		const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tokens.length - 1 }[e.key];
		if (at < 0 || to === undefined || !tokens[to])
			return;
		e.preventDefault();
		tokens[at].tabIndex = -1;
		tokens[to].tabIndex = 0;
		tokens[to].focus();
	});
	row.tokens = tokens;
}

/* ---- colours ---- */

const buttons = kinds.map(kind => {
	const b = document.createElement("button");
	b.type = "button";
	b.textContent = kind.name;
	b.title = kind.help;
	b.addEventListener("click", () => paint(kind));
	return b;
});
const scale = document.createElement("span"), said = document.createElement("span");
scale.className = "scale";

function paint(kind) {
	const most = largest(kind), middle = kind.middle || 0;
	chosen = kind;
	for (const row of rows)
		row.tokens.forEach((e, t) => {
			const v = row[kind.key][t];
			e.style.background = v === null ? "" : colour(kind, v, most);
		});
	buttons.forEach((b, i) => b.setAttribute("aria-pressed", kinds[i] === kind));
	const ends = kind.both ? [middle - most, middle + most] :
	             kind.key === "logp" ? [0, -most] : [0, most];
	const steps = [0, .25, .5, .75, 1].map(s => ends[0] + s * (ends[1] - ends[0]));
	const bar = document.createElement("span");
	bar.style.background = `linear-gradient(to right, ${steps.map(v => colour(kind, v, most))
		.join(", ")})`;
	scale.replaceChildren(number(ends[0], kind.both && !middle), bar,
		number(ends[1], kind.both && !middle));
	said.textContent = kind.help;
}

const box = document.getElementById("colours");
box.className = "controls";
box.setAttribute("role", "group");
box.setAttribute("aria-label", "colour of the tokens");
box.append("coloured by", ...buttons, scale, said, detail);
document.querySelectorAll(".tokens").forEach((e, i) => fill(e, rows[i]));
detail.textContent = "Point at a token, or step through them with Tab and the arrow keys.";
paint(chosen);
}());
