"""Control flow that stays in the tape: branches, loops and checkpoints as rows that hold programs."""

from arrayad.control.branching import cond, switch
from arrayad.control.checkpointing import checkpoint
from arrayad.control.conditional_loop import while_loop
from arrayad.control.counted_loops import fori_loop, map, scan

__all__ = ["checkpoint", "cond", "fori_loop", "map", "scan", "switch", "while_loop"]
