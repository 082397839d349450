// Plays patterns of tones with WebAudio.

import type { Pattern } from "./tones";

const ATTACK_S = 0.012;
const RELEASE_S = 0.05;
/** Full gain of a sine is louder than any desk needs. */
const GAIN_MAX = 0.5;

export class Player {
  #context: AudioContext | null = null;
  #now: GainNode | null = null;

  get running(): boolean {
    return this.#context?.state === "running";
  }

  /** Asks the browser to let it sound; it does so after a click or a key, or never. */
  async allow(): Promise<boolean> {
    if (typeof AudioContext === "undefined") return false;
    this.#context ??= new AudioContext();
    if (this.#context.state !== "running") {
      // Before a gesture this promise may stay open for ever.
      await Promise.race([this.#context.resume().catch(() => undefined), new Promise((resolve) => setTimeout(resolve, 400))]);
    }
    return this.running;
  }

  play(pattern: Pattern, volume: number): void {
    const context = this.#context;
    if (context === null || !this.running) return;
    this.stop();
    const out = context.createGain();
    out.gain.value = Math.max(0, Math.min(1, volume)) * GAIN_MAX;
    out.connect(context.destination);
    this.#now = out;
    const start = context.currentTime + 0.02;
    for (const note of pattern.notes) {
      const oscillator = context.createOscillator();
      const envelope = context.createGain();
      const from = start + note.at;
      const until = from + note.seconds;
      oscillator.type = "triangle";
      oscillator.frequency.setValueAtTime(note.hz, from);
      if (note.toHz !== undefined) oscillator.frequency.linearRampToValueAtTime(note.toHz, until);
      envelope.gain.setValueAtTime(0, from);
      envelope.gain.linearRampToValueAtTime(1, from + ATTACK_S);
      envelope.gain.setValueAtTime(1, Math.max(from + ATTACK_S, until - RELEASE_S));
      envelope.gain.linearRampToValueAtTime(0, until);
      oscillator.connect(envelope).connect(out);
      oscillator.start(from);
      oscillator.stop(until + 0.01);
    }
  }

  stop(): void {
    this.#now?.disconnect();
    this.#now = null;
  }
}
