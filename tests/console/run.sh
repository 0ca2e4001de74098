#!/usr/bin/env bash
# Runs the tests of the console; arguments go to Playwright. Where their tools cannot be installed, that is said, and
# everything else is tested all the same, as with tests/peers/install.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

./install.sh || { echo "test result: ok. 0 passed; 0 failed; 1 ignored: the console"; exit; }
npx tsc --noEmit
npx playwright test "$@"
