"""A worked step in a browser: colours, tokens under the cursor and by keyboard, light and dark."""
import sys

from chromium import Browser

chromium, folder, shots = sys.argv[1:4]
failed = 0


def check(is_so, what):
    global failed
    failed += not is_so
    print(("  ok      " if is_so else "  FAILED  ") + what)


def colours(page):
    return page.run("[...document.querySelectorAll('.tokens span')].map(s => s.style.background)")


with Browser(chromium) as browser:
    page = browser.open(f"file://{folder}/explained.html")
    check(page.run("document.querySelector('.proof').textContent").startswith("\u2713 identical"),
          "the page says that it is the run's own step")
    page.shot(f"{shots}/explained.png", whole=True)
    seen = [colours(page)]
    names = page.run("[...document.querySelectorAll('#colours button')].map(b => b.textContent)")
    check(names == ["log-prob", "entropy", "advantage", "ratio", "coefficient", "change"],
          "six colours to choose from")
    for name in names[1:]:
        page.run("[...document.querySelectorAll('#colours button')].find(b => b.textContent === "
                 f"'{name}').click()")
        check(page.run("document.querySelector('#colours [aria-pressed=true]').textContent") == name
              and colours(page) != seen[-1], f"coloured by {name}")
        seen.append(colours(page))
    page.hover(".tokens span")
    check("log-prob" in page.run("document.querySelector('.detail').textContent"),
          "the numbers of a token under the cursor")
    page.run("document.querySelectorAll('.tokens')[1].firstChild.focus()")
    first = page.run("document.querySelector('.detail').textContent")
    page.key("ArrowRight")
    check(page.run("document.querySelector('.detail').textContent") != first,
          "and by the arrow keys")
    page.scheme(True)
    page.shot(f"{shots}/explained-dark.png", whole=True)
    page.size(360, 740)
    check(page.run("document.documentElement.scrollWidth") <= 360, "360 px wide")
    page.shot(f"{shots}/explained-telephone.png", whole=True)
    check(page.said == [], f"the console is silent {page.said or ''}")
sys.exit(failed > 0)
