// One stop for Tab, the arrow keys within, Escape puts the reason away. Without this script every reason is a stop.
(() => {
  const table = document.querySelector("table.matrix");
  if (!table) return;
  const rows = [...table.tBodies[0].rows].map(row => [...row.querySelectorAll("td")]);
  const places = new Map(rows.flatMap((row, y) => row.map((cell, x) => [cell, [y, x]])));
  let current = table.querySelector("td.opens") || table.querySelector("td[aria-describedby]") || rows[0][0];
  table.setAttribute("role", "grid");
  for (const cell of places.keys()) cell.tabIndex = cell === current ? 0 : -1;
  const go = (y, x) => {
    const row = rows[Math.max(0, Math.min(rows.length - 1, y))];
    row[Math.max(0, Math.min(row.length - 1, x))].focus();
  };
  table.addEventListener("focusin", event => {
    const cell = event.target.closest("td");
    if (!cell) return;
    table.classList.remove("quiet");
    current.tabIndex = -1;
    current = cell;
    current.tabIndex = 0;
  });
  table.addEventListener("mouseover", () => table.classList.remove("quiet"));
  table.addEventListener("keydown", event => {
    const [y, x] = places.get(current);
    const all = event.ctrlKey || event.metaKey;
    const moves = {
      ArrowUp: [y - 1, x], ArrowDown: [y + 1, x], ArrowLeft: [y, x - 1], ArrowRight: [y, x + 1],
      PageUp: [y - 10, x], PageDown: [y + 10, x],
      Home: [all ? 0 : y, 0], End: [all ? Infinity : y, Infinity],
    };
    if (event.key === "Escape") table.classList.add("quiet");
    else if (moves[event.key] && !event.altKey) go(...moves[event.key]);
    else return;
    event.preventDefault();
  });
})();
