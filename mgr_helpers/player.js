// For plots.play_over: a line over the picture shows the position of the audio player below it.
(name, start, step) => {
  const audio = document.getElementById(name);
  let box = audio;
  while (box && !box.querySelector("img")) box = box.parentElement;
  if (!box) return;
  const before = [...box.querySelectorAll("img")].filter(one => one.compareDocumentPosition(audio) & 4);
  const image = before.pop(), line = document.createElement("div");
  line.style.cssText = "position:absolute; width:2px; background:#E69F00; pointer-events:none";
  image.parentElement.style.position = "relative";
  image.parentElement.appendChild(line);
  const place = () => {
    line.style.left = image.offsetLeft + image.clientWidth * (start + step * audio.currentTime) + "px";
    line.style.top = image.offsetTop + "px";
    line.style.height = image.clientHeight + "px";
    if (!audio.paused) requestAnimationFrame(place);
  };
  ["play", "timeupdate", "seeked"].forEach(event => audio.addEventListener(event, place));
  image.addEventListener("click", event => {
    audio.currentTime = Math.max(0, (event.offsetX / image.clientWidth - start) / step);
    audio.play();
  });
}
