// The closing line of the suite, in the form of cargo's: `.ci/run` adds up both.

import type { FullResult, Reporter, TestCase, TestResult } from "@playwright/test/reporter";

export default class Closing implements Reporter {
  private readonly counts = { passed: 0, failed: 0, skipped: 0 };

  onTestEnd(_test: TestCase, result: TestResult): void {
    const kind = result.status === "passed" || result.status === "skipped" ? result.status : "failed";
    this.counts[kind] += 1;
  }

  onEnd(result: FullResult): void {
    const { passed, failed, skipped } = this.counts;
    const word = result.status === "passed" ? "ok" : "FAILED";
    console.log(`test result: ${word}. ${passed} passed; ${failed} failed; ${skipped} ignored; in a browser`);
  }

  printsToStdio(): boolean {
    return true;
  }
}
