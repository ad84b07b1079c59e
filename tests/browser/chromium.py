"""A small driver of headless Chromium over its debugging pipe: the standard library and nothing else.

    with Browser(path) as browser:
        page = browser.open("file:///...", width=1400)
        page.run("document.title")              the value of an expression
        page.click("button.reset"); page.hover("svg.plot", .5, .5); page.drag(...); page.key("End")
        page.shot("there.png")
        page.said                               what the console said: errors, warnings, exceptions
"""
import base64
import json
import os
import select
import subprocess
import tempfile
import time

PATIENCE = 60


class Browser:
    def __init__(self, path):
        self.folder = tempfile.TemporaryDirectory(prefix="hone-browser-")
        (there, self.to), (self.back, here) = os.pipe(), os.pipe()

        def pipes():  # Chromium reads from 3 and writes to 4
            a, b = os.dup(there), os.dup(here)
            os.dup2(a, 3)
            os.dup2(b, 4)

        self.process = subprocess.Popen(
            [path, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--hide-scrollbars", "--no-first-run", "--remote-debugging-pipe",
             "--user-data-dir=" + self.folder.name, "about:blank"],
            close_fds=False, preexec_fn=pipes, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(there)
        os.close(here)
        self.number, self.rest, self.pages = 0, b"", {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.folder.cleanup()

    def receive(self, deadline):
        while b"\0" not in self.rest:
            if not select.select([self.back], [], [], max(0, deadline - time.monotonic()))[0]:
                raise TimeoutError("Chromium says nothing")
            piece = os.read(self.back, 1 << 20)
            if not piece:
                raise RuntimeError("Chromium has ended")
            self.rest += piece
        message, self.rest = self.rest.split(b"\0", 1)
        message = json.loads(message)
        page = self.pages.get(message.get("sessionId"))
        if page and "method" in message:
            page.event(message["method"], message["params"])
        return message

    def ask(self, method, session=None, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + PATIENCE
        while True:
            answer = self.receive(deadline)
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]

    def open(self, address, width=1400, height=900, dark=False, script=True):
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = self.pages[session] = Page(self, session, target)
        for room in ("Page", "Runtime", "Log"):
            page.ask(room + ".enable")
        if not script:
            page.ask("Emulation.setScriptExecutionDisabled", value=True)
        page.size(width, height)
        page.scheme(dark)
        page.go(address)
        return page


class Page:
    def __init__(self, browser, session, target):
        self.browser, self.session, self.target = browser, session, target
        self.said, self.loads = [], 0

    def ask(self, method, **params):
        return self.browser.ask(method, self.session, **params)

    def event(self, method, params):
        if method == "Page.loadEventFired":
            self.loads += 1
        elif method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.said.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.said.append(params["entry"]["text"])
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
            self.said.append(str(params["args"]))

    def wait_for_load(self, loads, patience=PATIENCE):
        deadline = time.monotonic() + patience
        while self.loads <= loads:
            self.browser.receive(deadline)

    def go(self, address):
        loads = self.loads
        self.ask("Page.navigate", url=address)
        self.wait_for_load(loads)

    def reload(self):
        loads = self.loads
        self.ask("Page.reload")
        self.wait_for_load(loads)

    def close(self):
        self.browser.ask("Target.closeTarget", targetId=self.target)

    def size(self, width, height=900):
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height,
                 deviceScaleFactor=1, mobile=False)

    def scheme(self, dark):
        self.ask("Emulation.setEmulatedMedia",
                 features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def run(self, expression):
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"]["exception"]["description"])
        return answer["result"].get("value")

    def place(self, selector, x=.5, y=.5):
        """Where in the window a point of the element is, after it was scrolled there."""
        box = self.run(f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
                       "e.scrollIntoView({block: 'center'}); const b = e.getBoundingClientRect();"
                       "return [b.left, b.top, b.width, b.height]; })()")
        return box[0] + x * box[2], box[1] + y * box[3]

    def mouse(self, kind, at, **more):
        self.ask("Input.dispatchMouseEvent", type=kind, x=at[0], y=at[1], **more)

    def hover(self, selector, x=.5, y=.5):
        self.mouse("mouseMoved", self.place(selector, x, y))

    def click(self, selector, count=1):
        at = self.place(selector)
        self.mouse("mouseMoved", at)
        for n in range(1, count + 1):
            self.mouse("mousePressed", at, button="left", clickCount=n)
            self.mouse("mouseReleased", at, button="left", clickCount=n)

    def drag(self, selector, x_from, x_to, y=.5):
        a, b = self.place(selector, x_from, y), self.place(selector, x_to, y)
        self.mouse("mouseMoved", a)
        self.mouse("mousePressed", a, button="left", clickCount=1)
        for share in (.3, .7, 1):
            at = a[0] + share * (b[0] - a[0]), a[1]
            self.mouse("mouseMoved", at, button="left", buttons=1)
        self.mouse("mouseReleased", b, button="left", clickCount=1)

    def key(self, key, code=None):
        for kind in ("keyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, key=key, code=code or key,
                     **({"text": key} if len(key) == 1 and kind == "keyDown" else {}))

    def shot(self, path, whole=False):
        if whole:
            size = self.ask("Page.getLayoutMetrics")["cssContentSize"]
            answer = self.ask("Page.captureScreenshot", captureBeyondViewport=True, clip={
                "x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 12000),
                "scale": 1})
        else:
            answer = self.ask("Page.captureScreenshot")
        with open(path, "wb") as f:
            f.write(base64.b64decode(answer["data"]))
