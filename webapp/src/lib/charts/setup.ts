// Chart.js, only its axes. Lines and bars are drawn by `draw.ts`; everything that moves (crosshair, brush) lies over the
// canvas, not in it.
import { Chart, LinearScale, LogarithmicScale } from "chart.js";

Chart.register(LinearScale, LogarithmicScale);
Chart.defaults.animation = false;
Chart.defaults.responsive = true;
Chart.defaults.maintainAspectRatio = false;
Chart.defaults.events = [];
Chart.defaults.font.family = "ui-sans-serif, system-ui, sans-serif";
Chart.defaults.font.size = 12;

export { Chart };
