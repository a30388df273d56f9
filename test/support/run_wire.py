"""Runs the tests of one file, each with a TAP line of its own: run_wire.py FILE."""

import faulthandler
import importlib.util
import os
import pathlib
import sys
import unittest


class TapResult(unittest.TestResult):
    """Prints each outcome when it is known; the causes of failures follow as comments."""

    def __init__(self, module):
        super().__init__()
        self.module = module
        self.count = 0
        self.subtests_failed = set()

    def tell(self, ok, test, remark=""):
        self.count += 1
        name = test.id().replace(self.module.__name__ + ".", "", 1)
        print(f"{'ok' if ok else 'not ok'} {self.count} - {name}{remark}", flush=True)

    def tell_failure(self, test, error):
        self.tell(False, test)
        for line in self._exc_info_to_string(error, test).splitlines():
            print(f"# {line}", flush=True)

    def addSuccess(self, test):
        super().addSuccess(test)
        if test.id() not in self.subtests_failed:
            self.tell(True, test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.tell_failure(test, err)

    def addError(self, test, err):
        super().addError(test, err)
        self.tell_failure(test, err)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.subtests_failed.add(test.id())
            self.tell_failure(subtest, err)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.tell(True, test, f" # SKIP {reason}")

    def addExpectedFailure(self, test, err):
        super().addExpectedFailure(test, err)
        self.tell(True, test)

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self.tell(False, test)


def load(path):
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def main():
    # Shortly before the runner's time limit: say where it hangs.
    limit_s = float(os.environ.get("HOLDFAST_TIME_LIMIT", "0"))
    if limit_s > 10:
        faulthandler.dump_traceback_later(limit_s - 5, exit=False)
    module = load(pathlib.Path(sys.argv[1]).resolve())
    result = TapResult(module)
    unittest.defaultTestLoader.loadTestsFromModule(module).run(result)
    print(f"1..{result.count}")
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
