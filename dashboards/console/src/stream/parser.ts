// Splits a stream of text into server-sent events; a field may be cut anywhere.

export interface RawEvent {
  id: string | null;
  event: string;
  data: string;
}

export function createParser(emit: (event: RawEvent) => void): (chunk: string) => void {
  let rest = "";
  let event = "message";
  let data: string[] = [];
  let id: string | null = null;
  const line = (text: string): void => {
    if (text === "") {
      if (data.length > 0) emit({ id, event, data: data.join("\n") });
      event = "message";
      data = [];
      id = null;
      return;
    }
    if (text.startsWith(":")) return;
    const colon = text.indexOf(":");
    const name = colon < 0 ? text : text.slice(0, colon);
    const value = colon < 0 ? "" : text.slice(colon + 1).replace(/^ /, "");
    if (name === "data") data.push(value);
    else if (name === "event") event = value;
    else if (name === "id") id = value;
  };
  return (chunk) => {
    rest += chunk;
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    for (const text of lines) line(text.replace(/\r$/, ""));
  };
}
