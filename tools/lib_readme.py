"""README.md's first lines say what was measured, from the tables that tools/compare wrote further down."""
import re


def row(text, work, against):
    """(operations a second, the other's, ratio) of the first row that compares these."""
    found = re.search(rf"^\| {re.escape(work)} \| {re.escape(against)} \| ([\d,]+) \| ([\d,]+) \| ([\d.]+x)",
                      text, flags=re.M)
    if not found:
        raise LookupError(f"README.md has no row of {work} against {against}")
    return found.groups()


def headline(text):
    none, always = "Redis, no persistence", "Redis, `always`"
    ratios = {(work, against): row(text, work, against)[2]
              for work in ("SET c50", "SET c50 P16", "GET c50", "GET c50 P16")
              for against in (none, always)}
    own, its, _ = row(text, "SET c1", none)
    return (
        f"[Measured](#measured) over 50 connections beside Redis on the same machine: `SET` {ratios['SET c50', none]} of a Redis "
        f"that persists nothing and {ratios['SET c50', always]} of one with `appendfsync always` "
        f"({ratios['SET c50 P16', none]} and {ratios['SET c50 P16', always]} with 16 requests on the way), `GET` "
        f"{ratios['GET c50', none]} and {ratios['GET c50', always]} ({ratios['GET c50 P16', none]} and "
        f"{ratios['GET c50 P16', always]}).\n"
        f"Each write waits for the disk, so one connection alone writes {own} times a second where a Redis that persists "
        f"nothing does it {its} times.\n")


def with_headline(text):
    return re.sub(r"(<!-- headline:start -->\n).*?(<!-- headline:end -->)",
                  lambda found: found.group(1) + headline(text) + found.group(2), text, flags=re.S)
