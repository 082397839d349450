// Starts the console.

import { mount } from "svelte";
import App from "./App.svelte";
import "./ui/tokens.css";
import "./ui/base.css";

const place = document.getElementById("app");
if (place !== null) {
  place.replaceChildren();
  mount(App, { target: place });
}
