"""run.py [NAME...]: runs test_*.py beside it (or test_NAME.py), one line per file, and closes with "N passed, M failed"."""

import pathlib
import sys
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent


class Result(unittest.TestResult):
    """Counts; keeps what went wrong until the file is done."""

    def __init__(self):
        super().__init__()
        self.passed = 0

    def addSuccess(self, test):
        self.passed += 1

    def broken(self):
        """(test, text) of everything that failed: assertions, errors, and each failing subtest. A test counts once."""
        return self.failures + self.errors

    def failed(self):
        return len({str(getattr(test, "test_case", test)) for test, _ in self.broken()})


def run_file(path):
    result, start = Result(), time.monotonic()
    unittest.defaultTestLoader.loadTestsFromName(path.stem).run(result)
    state = "FAILED" if result.broken() else f"{result.passed:3d} passed"
    print(f"  {path.stem:28s} {state}  {time.monotonic() - start:.0f} s", flush=True)
    for test, text in result.broken():
        print(f"\n{test}\n{text}")
    for test, reason in result.skipped:
        print(f"    skipped: {test}: {reason}")
    return result


def main(names):
    files = [HERE / f"test_{name}.py" for name in names] or sorted(HERE.glob("test_*.py"))
    results = [run_file(path) for path in files]
    passed, failed, skipped = (sum(n) for n in zip(*[(r.passed, r.failed(), len(r.skipped)) for r in results]))
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
