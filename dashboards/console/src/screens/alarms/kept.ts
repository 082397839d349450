// Views of the list that a person keeps in this browser: a name for the filters of an address.

export interface Kept { name: string; query: string }

const MOST = 20;
const key = (user: string): string => `cityhub.views.${user}`;

export function keptViews(user: string, storage: Pick<Storage, "getItem"> = localStorage): Kept[] {
  try {
    const found: unknown = JSON.parse(storage.getItem(key(user)) ?? "[]");
    return Array.isArray(found) ? found.filter((one): one is Kept => typeof one?.name === "string" && typeof one.query === "string") : [];
  } catch {
    return [];
  }
}

/** A name that is kept already gets the new filters; without filters the name goes. */
export function keep(user: string, view: Kept, storage: Pick<Storage, "getItem" | "setItem"> = localStorage): Kept[] {
  const others = keptViews(user, storage).filter((one) => one.name !== view.name);
  const next = view.query === "" ? others : [...others, view].slice(-MOST);
  try {
    storage.setItem(key(user), JSON.stringify(next));
  } catch {
    // Without storage they last as long as the page.
  }
  return next;
}
