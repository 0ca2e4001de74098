#!/usr/bin/env bash
# Runs the tests of the console; arguments go to Playwright. Where its tools cannot be installed, a developer reads so
# and goes on; in CI that is a failure.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

./install.sh || { [ -z "${CI-}" ]; exit; }
npx tsc --noEmit
npx playwright test "$@"
