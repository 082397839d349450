// Only browsers without modules run this: they get a sentence instead of an empty page.
document.getElementById("boot").innerHTML =
  "浏览器过旧，无法打开值班台。请使用 Chrome 100、Firefox 102、Safari 15.4 或更新的版本（国产浏览器请切换到极速模式）。" +
  "<br><br>This browser is too old for the console. Please use Chrome 100, Firefox 102, Safari 15.4 or newer.";
