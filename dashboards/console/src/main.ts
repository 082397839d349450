// Starts the console.

import { mount } from "svelte";
import App from "./App.svelte";
import { clock } from "./data/time";
import { wordsReady } from "./i18n/language";
import "./ui/tokens.css";
import "./ui/base.css";

const RETRY_MS = 5_000;
const place = document.getElementById("app");
if (place !== null) {
  wordsReady().then(() => {
    // The browser's tables of time zones take it as long as the first screen does: each has a task of its own.
    clock(0);
    setTimeout(() => {
      place.replaceChildren();
      mount(App, { target: place });
    });
    // The hub went away between the page and its words.
  }, () => setTimeout(() => location.reload(), RETRY_MS));
}
