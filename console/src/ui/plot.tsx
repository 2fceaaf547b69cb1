/** Two plots in SVG: stacked bars by day, and lines over time. Each has a table of its numbers for those who cannot see it. */
import { useEffect, useRef, useState } from "preact/hooks";
import { ticks } from "../lib/scale.ts";
import { formatClock } from "../lib/time.ts";

/** The width of an element, followed. */
export function useWidth<E extends HTMLElement>(): [preact.RefObject<E>, number] {
  const ref = useRef<E>(null);
  const [width, setWidth] = useState(640);
  useEffect(() => {
    const element = ref.current;
    if (element === null) return;
    const observer = new ResizeObserver(() => setWidth(Math.max(200, element.clientWidth)));
    observer.observe(element);
    setWidth(Math.max(200, element.clientWidth));
    return () => observer.disconnect();
  }, []);
  return [ref, width];
}

/** One part of every bar. */
export interface Series {
  name: string;
  /** One value for each bar. */
  values: readonly number[];
}

const LEFT = 56;
const BOTTOM = 20;
const TOP = 8;

/** Bars of several parts. At most seven series have a colour of their own; callers put the rest into one. */
export function StackedBars(props: {
  label: string;
  names: readonly string[];
  series: readonly Series[];
  format: (value: number) => string;
  axis: (value: number) => string;
  height?: number;
}) {
  const [box, width] = useWidth<HTMLDivElement>();
  const height = props.height ?? 200;
  const { names, series } = props;
  const totals = names.map((_, at) => series.reduce((sum, one) => sum + (one.values[at] ?? 0), 0));
  const marks = ticks(Math.max(...totals, 0), 4);
  const most = marks.at(-1) || 1;
  const plotHeight = height - BOTTOM - TOP;
  const y = (value: number) => TOP + plotHeight * (1 - value / most);
  const slot = (width - LEFT) / Math.max(1, names.length);
  const bar = Math.max(2, Math.min(36, slot * 0.7));
  const every = Math.ceil(names.length / Math.max(1, Math.floor((width - LEFT) / 64)));
  return (
    <figure ref={box}>
      <svg
        class="plot"
        viewBox={`0 0 ${width} ${height}`}
        height={height}
        role="img"
        aria-label={props.label}
      >
        {marks.map((mark) => (
          <g key={mark}>
            <line class="grid" x1={LEFT} x2={width} y1={y(mark)} y2={y(mark)} />
            <text x={LEFT - 8} y={y(mark) + 4} text-anchor="end">
              {props.axis(mark)}
            </text>
          </g>
        ))}
        {names.map((name, at) => {
          let below = 0;
          const x = LEFT + slot * at + (slot - bar) / 2;
          return (
            <g key={name}>
              <title>
                {[
                  name,
                  ...series
                    .filter((one) => one.values[at])
                    .map((one) => `${one.name}: ${props.format(one.values[at] ?? 0)}`),
                ].join("\n")}
              </title>
              <rect x={LEFT + slot * at} y={TOP} width={slot} height={plotHeight} fill="transparent" />
              {series.map((one, index) => {
                const value = one.values[at] ?? 0;
                if (value <= 0) return null;
                below += value;
                return (
                  <rect
                    key={one.name}
                    class={`s${index % 7}`}
                    x={x}
                    width={bar}
                    y={y(below)}
                    height={Math.max(0.5, y(below - value) - y(below))}
                    rx="1"
                  />
                );
              })}
              {at % every === 0 && (
                <text x={x + bar / 2} y={height - 4} text-anchor="middle">
                  {name.length === 10 ? name.slice(5) : name}
                </text>
              )}
            </g>
          );
        })}
      </svg>
      <Legend names={series.map((one) => one.name)} />
      <Numbers label={props.label} names={names} series={series} format={props.format} />
    </figure>
  );
}

/** Lines over time: each point is `[ms, value]`. Stepped, since a limit holds until it changes. */
export function LinePlot(props: {
  label: string;
  series: readonly { name: string; points: readonly (readonly [number, number])[] }[];
  from: number;
  to: number;
  format: (value: number) => string;
  height?: number;
}) {
  const [box, width] = useWidth<HTMLDivElement>();
  const height = props.height ?? 140;
  const most = Math.max(1, ...props.series.flatMap((one) => one.points.map((point) => point[1])));
  const marks = ticks(most, 3);
  const top = marks.at(-1) ?? 1;
  const x = (time: number) =>
    LEFT + ((time - props.from) / Math.max(1, props.to - props.from)) * (width - LEFT - 4);
  const y = (value: number) => TOP + (height - TOP - BOTTOM) * (1 - value / top);
  return (
    <figure ref={box}>
      <svg
        class="plot"
        viewBox={`0 0 ${width} ${height}`}
        height={height}
        role="img"
        aria-label={props.label}
      >
        {marks.map((mark) => (
          <g key={mark}>
            <line class="grid" x1={LEFT} x2={width} y1={y(mark)} y2={y(mark)} />
            <text x={LEFT - 8} y={y(mark) + 4} text-anchor="end">
              {props.format(mark)}
            </text>
          </g>
        ))}
        <text x={LEFT} y={height - 4}>
          {formatClock(props.from).slice(0, 8)}
        </text>
        <text x={width - 4} y={height - 4} text-anchor="end">
          {formatClock(props.to).slice(0, 8)}
        </text>
        {props.series.map((one, index) => {
          const steps = one.points.map(([time, value], at) =>
            at === 0 ? `M${x(time)} ${y(value)}` : `H${x(time)}V${y(value)}`,
          );
          return <path key={one.name} class={`s${index % 7}`} stroke-width="1.8" d={steps.join("")} />;
        })}
      </svg>
      <Legend names={props.series.map((one) => one.name)} />
    </figure>
  );
}

function Legend({ names }: { names: readonly string[] }) {
  return names.length < 2 ? null : (
    <ul class="legend">
      {names.map((name, at) => (
        <li key={name}>
          <i class={`swatch s${at % 7}`} />
          {name}
        </li>
      ))}
    </ul>
  );
}

function Numbers(props: {
  label: string;
  names: readonly string[];
  series: readonly Series[];
  format: (value: number) => string;
}) {
  return (
    <div class="sr">
      <table>
        <caption>{props.label}</caption>
        <tbody>
          {props.names.map((name, at) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              {props.series.map((one) => (
                <td key={one.name}>
                  {one.name}: {props.format(one.values[at] ?? 0)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
