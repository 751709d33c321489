"""Is a derivative right?  Oracles that know no rule, digits that agree, and the operation where it goes wrong."""

from arrayad.verification.checking import Check, check
from arrayad.verification.report import Verification
from arrayad.verification.verify import verify

__all__ = ["Check", "Verification", "check", "verify"]
