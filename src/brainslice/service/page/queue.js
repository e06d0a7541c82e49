// The queue: entries are predicted in order and can be cancelled; a busy service is retried after Retry-After.

import { Failure } from "./service.js";

const TRIES = 6;
const SLOW = 4000;

/** Final states, from which an entry can be retried. */
export const SETTLED = new Set(["done", "refused", "failed", "cancelled"]);

export class Queue {
  /**
   * @param predict Called with an entry and an AbortSignal; returns its prediction or throws a Failure.
   * @param changed Called with an entry when it or the queue changes.
   * @param tokenNeeded Called when a token is required; the queue pauses until resume().
   */
  constructor(predict, changed, tokenNeeded) {
    Object.assign(this, { predict, changed, tokenNeeded });
    this.entries = [];
    this.abort = null;
    this.slow = false;
    this.resting = false;
  }

  get done() {
    return this.entries.filter((entry) => SETTLED.has(entry.state) && entry.state !== "cancelled").length;
  }

  get busy() {
    return this.entries.some((entry) => !SETTLED.has(entry.state));
  }

  add(entries) {
    for (const entry of entries) {
      Object.assign(entry, { state: "waiting", answer: null, failure: null, seconds: 0, asked: {}, frames: null });
      this.entries.push(entry);
    }
    return this.run();
  }

  again(entry) {
    Object.assign(entry, { state: "waiting", failure: null });
    this.changed(entry);
    return this.run();
  }

  cancel() {
    for (const entry of this.entries) if (!SETTLED.has(entry.state)) entry.state = "cancelled";
    this.abort?.abort();
    this.resting = false;
    this.changed(null);
  }

  clear() {
    this.cancel();
    this.entries = [];
    this.changed(null);
  }

  resume() {
    this.resting = false;
    return this.run();
  }

  async run() {
    this.changed(null);
    if (this.abort !== null || this.resting) return;
    for (;;) {
      const entry = this.entries.find(({ state }) => state === "waiting");
      if (entry === undefined || this.resting) return;
      await this.settle(entry);
    }
  }

  async settle(entry) {
    const abort = new AbortController();
    this.abort = abort;
    const slow = setTimeout(() => { this.slow = true; this.changed(entry); }, SLOW);
    try {
      entry.answer = await this.persist(entry, abort.signal);
      if (entry.state !== "cancelled") entry.state = "done";
    } catch (problem) {
      this.fail(entry, problem);
    } finally {
      clearTimeout(slow);
      this.slow = false;
      this.abort = null;
      this.changed(entry);
    }
  }

  fail(entry, problem) {
    if (entry.state === "cancelled") return;
    entry.failure = problem instanceof Failure ? problem : new Failure("problem.other", { detail: String(problem) });
    if (entry.failure.status === 401) {
      entry.state = "waiting";
      this.resting = true;
      this.tokenNeeded();
      return;
    }
    entry.state = entry.failure.key === "state.refused" ? "refused" : "failed";
  }

  async persist(entry, signal) {
    for (let attempt = 1; ; attempt += 1) {
      entry.state = "running";
      this.changed(entry);
      try {
        return await this.predict(entry, signal);
      } catch (problem) {
        if (problem.wait === null || problem.wait === undefined || attempt === TRIES) throw problem;
        await this.pause(entry, problem.wait, signal);
      }
    }
  }

  async pause(entry, seconds, signal) {
    for (entry.seconds = seconds; entry.seconds > 0; entry.seconds -= 1) {
      if (signal.aborted) throw new Failure("state.cancelled");
      entry.state = "busy";
      this.changed(entry);
      await new Promise((done) => {
        const timer = setTimeout(done, 1000);
        signal.addEventListener("abort", () => { clearTimeout(timer); done(); }, { once: true });
      });
    }
    if (signal.aborted) throw new Failure("state.cancelled");
  }
}
