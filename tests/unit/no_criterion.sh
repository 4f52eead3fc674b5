#!/bin/sh
# Stands in for the unit tests where configure did not find Criterion.
echo "SKIPPED: the unit tests need Criterion; on Debian and Ubuntu: apt-get install libcriterion-dev, then configure again"
exit 77
