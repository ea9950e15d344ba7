"""The rule tables, grouped by what they promise about floats, and the measure each rule lowers."""

from graphc.rules.cost import Measure, measure
from graphc.rules.exact import EXACT
from graphc.rules.fast import FAST
from graphc.rules.guard import DISSOLVE, GUARD, RELEASE
from graphc.rules.stable import STABLE

__all__ = ["DISSOLVE", "EXACT", "FAST", "GUARD", "RELEASE", "STABLE", "Measure", "measure"]
