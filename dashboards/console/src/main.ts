// Starts the console.

import { mount } from "svelte";
import App from "./App.svelte";
import { wordsReady } from "./i18n/language";
import "./ui/tokens.css";
import "./ui/base.css";

const RETRY_MS = 5_000;
const place = document.getElementById("app");
if (place !== null) {
  wordsReady().then(() => {
    place.replaceChildren();
    mount(App, { target: place });
    // The hub went away between the page and its words.
  }, () => setTimeout(() => location.reload(), RETRY_MS));
}
