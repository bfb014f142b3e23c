// Candles and volume of one ticker, drawn by lightweight-charts in the colours of the tokens.
import {
  CandlestickSeries,
  ColorType,
  createChart,
  createSeriesMarkers,
  CrosshairMode,
  HistogramSeries,
  LineStyle,
} from "../vendor/lightweight-charts/lightweight-charts.mjs";
import { clockTime, day, price, volume } from "./format.js";

const VOLUME_HEIGHT = 72;
const SHAPES = { dividend: "circle", split: "square" };
const TOKENS = ["surface", "line", "line2", "ink", "ink3", "gain", "loss", "vol", "accent"];

// A canvas needs resolved colours; a probe lets the browser resolve light-dark().
function colours() {
  const probe = document.createElement("i");
  document.body.append(probe);
  const found = TOKENS.map((name) => {
    probe.style.color = `var(--${name})`;
    return [name, getComputedStyle(probe).color];
  });
  probe.remove();
  return Object.fromEntries(found);
}

const dateText = (time) => (typeof time === "number" ? clockTime(time * 1000) : day(isoOf(time)));
const two = (number) => String(number).padStart(2, "0");
export const isoOf = (time) => (typeof time === "string" ? time : `${time.year}-${two(time.month)}-${two(time.day)}`);

export class Candles {
  #chart;
  #candles;
  #volumes;
  #marks;
  #marked = [];
  #levels = [];
  #lines = [];
  #colours = {};

  constructor(box, { decimals, onHover }) {
    this.#chart = createChart(box, { autoSize: true, ...fixedOptions() });
    this.#candles = this.#chart.addSeries(CandlestickSeries, {
      priceFormat: { type: "custom", formatter: (value) => price(value.toFixed(8), decimals), minMove: 10 ** -decimals },
      priceLineStyle: LineStyle.Dotted,
    });
    const volumes = {
      priceFormat: { type: "custom", formatter: (value) => volume(Math.round(value)).replace(".00", ""), minMove: 1 },
      lastValueVisible: false,
      priceLineVisible: false,
    };
    this.#volumes = this.#chart.addSeries(HistogramSeries, volumes, 1);
    this.#candles.priceScale().applyOptions({ scaleMargins: { top: 0.08, bottom: 0.08 } });
    this.#volumes.priceScale().applyOptions({ scaleMargins: { top: 0.25, bottom: 0 } });
    this.#chart.panes()[1].setHeight(VOLUME_HEIGHT);
    this.#marks = createSeriesMarkers(this.#candles, []);
    this.#chart.subscribeCrosshairMove(({ time }) => onHover(time === undefined ? null : time));
    this.dress();
  }

  // Again after a change of theme.
  dress() {
    const c = colours();
    this.#chart.applyOptions({
      layout: {
        background: { type: ColorType.Solid, color: c.surface },
        textColor: c.ink3,
        panes: { separatorColor: c.surface, enableResize: false },
      },
      grid: { horzLines: { color: c.line } },
      timeScale: { borderColor: c.line2 },
      crosshair: {
        vertLine: { color: c.ink3, labelBackgroundColor: c.line2 },
        horzLine: { color: c.ink3, labelBackgroundColor: c.line2 },
      },
    });
    this.#candles.applyOptions({
      upColor: c.surface, // hollow
      downColor: c.loss,
      borderUpColor: c.gain,
      borderDownColor: c.loss,
      wickUpColor: c.gain,
      wickDownColor: c.loss,
    });
    this.#volumes.applyOptions({ color: c.vol });
    this.#colours = c;
    this.mark(this.#marked);
    this.draw(this.#levels);
  }

  // Levels of alerts, each with its rule; told in words beside the chart.
  draw(levels) {
    this.#levels = levels;
    for (const line of this.#lines) this.#candles.removePriceLine(line);
    const dressed = { color: this.#colours.accent, lineWidth: 1, lineStyle: LineStyle.Dashed };
    this.#lines = levels.map(({ price, words }) =>
      this.#candles.createPriceLine({ ...dressed, price: Number(price), title: words }),
    );
  }

  // Dividends and splits below their day; told in words beside the chart.
  mark(marks) {
    this.#marked = marks;
    const dressed = { position: "belowBar", color: this.#colours.ink3, size: 0.5 };
    this.#marks.setMarkers(marks.map(({ time, kind, text }) => ({ ...dressed, time, text, shape: SHAPES[kind] })));
  }

  // Copies, since the library rewrites the dates in what it is given.
  show(bars) {
    this.#candles.setData(bars.map((bar) => ({ ...bar })));
    this.#volumes.setData(bars.map(({ time, volume }) => ({ time, value: volume })));
    this.#chart.applyOptions({ timeScale: { timeVisible: typeof bars[0]?.time === "number" } });
    this.#tag(bars.at(-1));
    this.#chart.timeScale().fitContent();
  }

  move(bar) {
    this.#candles.update({ ...bar });
    this.#volumes.update({ time: bar.time, value: bar.volume });
    this.#tag(bar);
  }

  #tag(bar) {
    if (bar) this.#candles.applyOptions({ priceLineColor: bar.close < bar.open ? this.#colours.loss : this.#colours.gain });
  }
}

function fixedOptions() {
  return {
    layout: { fontFamily: getComputedStyle(document.body).fontFamily, fontSize: 12, attributionLogo: false },
    grid: { vertLines: { visible: false } },
    rightPriceScale: { borderVisible: false, entireTextOnly: true },
    timeScale: { fixLeftEdge: true, rightOffset: 1, minBarSpacing: 0.2 },
    crosshair: { mode: CrosshairMode.Magnet, vertLine: { style: LineStyle.Dashed }, horzLine: { style: LineStyle.Dashed } },
    localization: { locale: "en", timeFormatter: dateText },
    handleScroll: { vertTouchDrag: false },
    handleScale: { axisPressedMouseMove: false },
  };
}
