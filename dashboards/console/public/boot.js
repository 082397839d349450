// Runs before the first paint, so that a night desk is never flashed white. Old syntax on purpose.
(function () {
  var theme = null;
  try { theme = localStorage.getItem("cityhub.theme"); } catch (error) { theme = null; }
  var hour = new Date().getHours();
  var night = hour >= 19 || hour < 7;
  var dark = theme === "dark" || (theme !== "light" && night);
  document.documentElement.setAttribute("data-theme", dark ? "dark" : "light");
})();
