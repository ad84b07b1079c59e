"""The report in a browser: what is clicked, dragged, typed and hovered does what it says, in light
and dark, on a telephone and on a wide screen, and the console stays silent."""
import json
import sys
import time

from chromium import Browser

chromium, folder, shots = sys.argv[1:4]
failed = 0


def check(is_so, what):
    global failed
    failed += not is_so
    print(("  ok      " if is_so else "  FAILED  ") + what)


def path_of(page, title="Reward"):
    return page.run("[...document.querySelectorAll('figure')].find(f => f.querySelector("
                    f"'figcaption').firstChild.textContent === {json.dumps(title)})"
                    ".querySelector('svg g[clip-path]').innerHTML")


def first(page, title="Reward"):
    """Gives the chart a class, to be found by."""
    page.run("[...document.querySelectorAll('figure')].find(f => f.querySelector("
             f"'figcaption').firstChild.textContent === {json.dumps(title)}).id = 'chart'")
    return "#chart svg.plot"


def overflow(page):
    return page.run("document.documentElement.scrollWidth - document.documentElement.clientWidth")


def choose(page, selector, value):
    page.run(f"(() => {{ const s = document.querySelector({json.dumps(selector)});"
             f"s.value = {json.dumps(value)}; s.dispatchEvent(new Event('change')); }})()")


def one_run(browser):
    page = browser.open(f"file://{folder}/run/report.html")
    plot = first(page)
    check(page.run("document.querySelectorAll('.facts dt').length") >= 8, "the head names the run")
    page.shot(f"{shots}/run.png")

    steps = path_of(page)
    choose(page, "#tools select", "tokens")
    check(path_of(page) != steps and "tokens" in page.run(
        "document.querySelector('#chart svg').textContent"), "tokens as the axis")
    choose(page, "#tools select", "time")
    check("time" in page.run("document.querySelector('#chart svg').textContent"), "time, too")
    page.shot(f"{shots}/time.png")
    choose(page, "#tools select", "step")
    check(path_of(page) == steps, "and steps again")

    page.run("(() => { const s = document.querySelector('#tools input[type=range]'); s.value = 0;"
             "s.dispatchEvent(new Event('input')); })()")
    check(path_of(page) != steps and "raw" not in path_of(page), "smoothing goes away")
    page.click("#tools input[type=checkbox]")
    check("log=1" in page.run("location.hash"), "a logarithmic scale stands in the address")
    page.reload()
    plot = first(page)
    check(page.run("document.querySelector('#tools input[type=checkbox]').checked"),
          "and outlives a reload")
    page.click("#tools input[type=checkbox]")

    page.hover(plot, .5)
    check("step" in page.run("document.querySelector('#chart .tip').textContent") and
          not page.run("document.querySelector('#chart .tip').hidden"), "values under the cursor")
    page.shot(f"{shots}/hover.png")

    page.drag(plot, .3, .6)
    low, high = page.run("location.hash.match(/from=([\\d.]+)&to=([\\d.]+)/).slice(1).map(Number)")
    check(0 < low < high < 1000, f"a drag zooms, to {low:.0f} to {high:.0f}")
    page.shot(f"{shots}/zoom.png")
    page.run("window.saved = []; URL.createObjectURL = b => { b.text().then(t => saved.push(t));"
             "return 'data:,'; }; HTMLAnchorElement.prototype.click = () => {}")
    page.run("document.querySelectorAll('#tools button')[1].click()")
    time.sleep(.3)
    csv = page.run("saved[0]").splitlines()
    at = [float(r.split(",")[-3]) for r in csv[1:]]
    check(csv[0] == "chart,line,step,step,value,error" and at and
          min(at) >= low and max(at) <= high, f"CSV of what is shown, {len(csv)} lines")
    page.click("#tools .reset")
    check("from" not in page.run("location.hash"), "the button shows all of it again")

    page.run("document.querySelector('#chart svg.plot').focus()")
    page.key("Home")
    page.key("ArrowRight")
    check(page.run("document.querySelector('.say').textContent").startswith("step 2"),
          "arrow keys read values aloud")
    check(page.run("document.querySelector('#chart svg').getAttribute('aria-label')")
          .startswith("Reward. "), "a chart is told in words")

    samples(page)
    page.scheme(True)
    page.run("scrollTo(0, 0)")
    page.shot(f"{shots}/dark.png")
    light_on_dark = page.run("getComputedStyle(document.body).backgroundColor")
    check(light_on_dark == "rgb(20, 23, 27)", "dark where the reader wants it")
    page.scheme(False)
    page.size(360, 740)
    page.run("scrollTo(0, 0)")
    check(overflow(page) <= 0, "360 px wide, nothing beyond the edge")
    page.shot(f"{shots}/telephone.png")
    page.run("document.querySelector('.explorer').scrollIntoView()")
    page.shot(f"{shots}/telephone-samples.png")
    check(page.said == [], f"the console is silent {page.said or ''}")
    page.close()


def samples(page):
    count = "document.querySelectorAll('.explorer article').length"
    check(page.run(count) == 12, "the samples of the last step")
    page.run("document.querySelector('.explorer').scrollIntoView()")
    page.shot(f"{shots}/samples.png")
    choose(page, ".explorer .steps", "")
    every = page.run("document.querySelector('.explorer [role=status]').textContent")
    choose(page, ".explorer .marks", "right")
    check(page.run("[...document.querySelectorAll('.explorer article b')].every(b =>"
                   "b.className === 'right')") and page.run(count) > 0, "right ones alone")
    choose(page, ".explorer .marks", "cut")
    check(page.run("[...document.querySelectorAll('.explorer article > p:first-child')].every(p =>"
                   "/length|context/.test(p.textContent))"), "cut ones alone")
    choose(page, ".explorer .marks", "all")
    check(page.run("document.querySelector('.explorer [role=status]').textContent") == every,
          f"and all: {every}")
    check(page.run("document.querySelector('.explorer .parts').textContent") != "",
          "components of the reward")
    page.click(".explorer article button.link")
    check(page.run("new Set([...document.querySelectorAll('.explorer article button.link')]"
                   ".map(b => b.textContent)).size") == 1 and page.run(count) > 1,
          "one problem over the steps")
    page.shot(f"{shots}/over-time.png")
    page.click(".explorer [role=status] button")
    check(page.run("document.querySelector('.explorer [role=status]').textContent") == every,
          "and back")


def arms(browser):
    page = browser.open(f"file://{folder}/arms.html")
    check(page.run("document.querySelectorAll('.forest .name').length") == 4,
          "a forest plot of four arms against the baseline")
    check(page.run("[...document.querySelectorAll('main > *')].findIndex(e =>"
                   "e.matches('.forest'))") <= 2, "stands first")
    check(page.run("[...document.querySelectorAll('details')].every(d => !d.open)"),
          "other pairs are folded away")
    page.shot(f"{shots}/arms.png")
    page.size(360, 740)
    check(overflow(page) <= 0, "and fits a telephone")
    page.shot(f"{shots}/arms-telephone.png")
    check(page.said == [], f"the console is silent {page.said or ''}")
    page.close()


def living(browser):
    page = browser.open(f"file://{folder}/live.html#x=tokens")
    check("live" in page.run("document.getElementById('live').textContent"), "a living run says so")
    page.shot(f"{shots}/live.png")
    loads = page.loads
    page.wait_for_load(loads, 30)
    check(page.loads > loads and "x=tokens" in page.run("location.hash"),
          "its page loads itself again, and stays as it was chosen")
    check(page.said == [], f"the console is silent {page.said or ''}")
    page.close()


def without_script(browser):
    page = browser.open(f"file://{folder}/run/report.html", script=False)
    page.shot(f"{shots}/without-script.png")
    check(page.said == [], "without a script the page is there, and silent")
    page.close()


with Browser(chromium) as browser:
    one_run(browser)
    arms(browser)
    living(browser)
    without_script(browser)
print(f"{failed} failed" if failed else "all as it should be")
sys.exit(failed > 0)
