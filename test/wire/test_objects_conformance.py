"""CONFORMANCE.md says of each number of the conformance list which tests pin it down, or why none
does; the tests say so themselves. Both are held against each other here."""

import ast
import pathlib
import re
import unittest

HERE = pathlib.Path(__file__).resolve().parent
NUMBERS = range(1, 89)  # of objects; those that follow are of other parts
ROW = re.compile(r"^\| (\d+) \| ([^|]+) \| ([^|]+) \|$", re.M)


def numbers_of_tests():
    """(file, test) pairs for each number that a test's first line names."""
    found = {}
    for path in HERE.glob("test_objects_*.py"):
        part = path.stem.removeprefix("test_objects_")
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.FunctionDef) or not node.name.startswith("test_"):
                continue
            named = re.match(r"\[([\d, ]+)\]", ast.get_docstring(node) or "")
            for number in named[1].split(",") if named else ():
                found.setdefault(int(number), set()).add((part, node.name))
    return found


def numbers_of_table():
    """The same from the table; a number that has a reason in place of tests has none."""
    found = {}
    for number, _, where in ROW.findall((HERE / "CONFORMANCE.md").read_text()):
        assert int(number) not in found, f"{number} stands there twice"
        tests = set()
        for group in where.split("; ") if "`" in where else ():
            part, _, names = group.partition(": ")
            tests |= {(part, "test_" + name) for name in re.findall(r"`([a-z0-9_]+)`", names)}
        found[int(number)] = tests
    return found


class Conformance(unittest.TestCase):
    def test_every_number_has_its_row(self):
        self.assertEqual(sorted(numbers_of_table()), list(NUMBERS))

    def test_the_table_names_the_tests_that_name_the_number(self):
        tests = numbers_of_tests()
        self.assertLessEqual(set(tests), set(NUMBERS))
        for number, named in numbers_of_table().items():
            self.assertEqual(named, tests.get(number, set()), number)

    def test_what_has_no_test_has_a_reason(self):
        text = (HERE / "CONFORMANCE.md").read_text()
        for number, what, where in ROW.findall(text):
            self.assertGreater(len(what.strip()), 3, number)
            self.assertGreater(len(where.strip()), 4, number)


if __name__ == "__main__":
    unittest.main()
