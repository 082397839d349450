// Keeps rows in their places while somebody points at them: new ones wait, gone ones stay.

export interface Frozen {
  /** Ids in the order to draw. */
  order: readonly string[];
  /** What came since the order was frozen and is not drawn yet. */
  waiting: readonly string[];
}

export class FrozenOrder {
  #order: readonly string[] = [];

  /** `sorted` is the order that would be drawn if nothing were held. */
  next(sorted: readonly string[], held: boolean, known: (id: string) => boolean): Frozen {
    if (!held) {
      this.#order = sorted;
      return { order: sorted, waiting: [] };
    }
    const drawn = new Set(this.#order);
    // A row whose alarm is no longer known cannot be drawn; everything else keeps its place.
    const order = this.#order.filter(known);
    if (order.length !== this.#order.length) this.#order = order;
    return { order, waiting: sorted.filter((id) => !drawn.has(id)) };
  }
}
