/**
 * A list of any length of which only what is seen is in the page.
 *
 * All rows are of one height. Keys: up, down, page, home and end move the selection.
 */
import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

/** A virtualised listbox. */
export function VirtualList(props: {
  label: string;
  count: number;
  rowHeight: number;
  /** The selected row, which is kept in sight; -1 for none. */
  selected: number;
  onSelect: (row: number) => void;
  row: (index: number) => ComponentChildren;
}) {
  const { count, rowHeight, selected } = props;
  const box = useRef<HTMLDivElement>(null);
  const [range, setRange] = useState({ top: 0, height: 400 });
  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const measure = () => setRange({ top: element.scrollTop, height: element.clientHeight });
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  useLayoutEffect(() => {
    const element = box.current;
    if (element === null || selected < 0) return;
    const top = selected * rowHeight;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + rowHeight > element.scrollTop + element.clientHeight) {
      element.scrollTop = top + rowHeight - element.clientHeight;
    } else return;
    // The rows of the new place in the same frame: a log that grows does not flicker.
    setRange({ top: element.scrollTop, height: element.clientHeight });
  }, [selected, rowHeight, count]);
  // A list that has become shorter than where it was scrolled to shows its end, until the browser says where it is.
  const top = Math.min(range.top, Math.max(0, count * rowHeight - range.height));
  const first = Math.max(0, Math.floor(top / rowHeight) - 8);
  const last = Math.min(count, Math.ceil((top + range.height) / rowHeight) + 8);
  const move = (event: KeyboardEvent) => {
    const page = Math.max(1, Math.floor(range.height / rowHeight) - 1);
    const by: Record<string, number> = {
      ArrowDown: 1,
      ArrowUp: -1,
      j: 1,
      k: -1,
      PageDown: page,
      PageUp: -page,
      Home: -count,
      End: count,
    };
    const step = by[event.key];
    if (step === undefined || count === 0) return;
    event.preventDefault();
    event.stopPropagation();
    props.onSelect(Math.max(0, Math.min(count - 1, selected + step)));
  };
  const rows: ComponentChildren[] = [];
  for (let at = first; at < last; at++) {
    rows.push(
      <div
        key={at}
        id={`row-${at}`}
        role="option"
        aria-selected={at === selected}
        aria-setsize={count}
        aria-posinset={at + 1}
        class="vrow"
        style={{ top: `${at * rowHeight}px`, height: `${rowHeight}px` }}
        onClick={() => props.onSelect(at)}
      >
        {props.row(at)}
      </div>,
    );
  }
  return (
    <div
      ref={box}
      class="vlist"
      role="listbox"
      tabIndex={0}
      aria-label={props.label}
      aria-activedescendant={selected >= first && selected < last ? `row-${selected}` : undefined}
      onScroll={(event) =>
        setRange({ top: event.currentTarget.scrollTop, height: event.currentTarget.clientHeight })
      }
      onKeyDown={move}
    >
      <div class="vspace" style={{ height: `${count * rowHeight}px` }}>
        {rows}
      </div>
    </div>
  );
}
