"""The compiler: functions that are traced once, and run as programs from then on."""

from arrayad.compiler.compile import Compiled as Compiled
from arrayad.compiler.compile import compile as compile
