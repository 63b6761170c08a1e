"""Symbolic rules as data: their text, their arithmetic, what bounds it, and its compiled forms.

A rule is a small expression over named, bounded inputs. `rule.Rule` cannot hold a rule that is
unsafe; `elementary` defines what every operation gives, to the bit.
"""

from sim import compile_cache

compile_cache.use()
