"""The whole exercise sheet and the training; says where its pictures, pages and C are.

python examples/demo.py [folder]
"""

import sys
from pathlib import Path

import exercise1
import exercise2
import exercise3
import exercise4_digits
import exercise4_relu
from show import relative

EXERCISES = (exercise1, exercise2, exercise3, exercise4_relu, exercise4_digits)


def main(out):
    for exercise in EXERCISES:
        print(f"\n{exercise.__doc__.splitlines()[0]}")
        exercise.main(out / exercise.__name__)
    print(f"\nEverything is in {relative(out)}/, a folder for each exercise:")
    for what, pattern in (("pictures", "*.svg"), ("pages", "*.html"), ("C", "*.c")):
        found = sorted(out.rglob(pattern))
        print(f"  {len(found):2} {what:9} {relative(out)}/*/{pattern}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "out"))
