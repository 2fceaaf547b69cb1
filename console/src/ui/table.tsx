/**
 * A table whose rows open something.
 *
 * Rows are found by `data-row`: j and k go through them, Enter opens (keys.ts).
 */
import type { ComponentChildren } from "preact";

/** A column: its title and what it shows of an item. */
export interface Column<T> {
  title: string;
  cell: (item: T) => ComponentChildren;
  /** `end` for numbers, `clip` for long words, `wide-only` for what a phone leaves out. */
  class?: string;
}

/** A table of items. */
export function Table<T>(props: {
  label: string;
  items: readonly T[];
  columns: readonly Column<T>[];
  id: (item: T) => string;
  onOpen?: ((item: T) => void) | undefined;
  /** Shown under it: a button for more. */
  foot?: ComponentChildren;
}) {
  const { onOpen } = props;
  return (
    <>
      <div class="rows-wrap">
        <table class="rows" aria-label={props.label}>
          <thead>
            <tr>
              {props.columns.map((column) => (
                <th key={column.title} class={column.class ?? ""} scope="col">
                  {column.title}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {props.items.map((item) => (
              <tr
                key={props.id(item)}
                {...(onOpen === undefined
                  ? {}
                  : {
                      "data-row": props.id(item),
                      tabIndex: 0,
                      onClick: (event: MouseEvent) => {
                        // A link or a button in a row does its own thing.
                        if ((event.target as HTMLElement).closest("a, button") === null) onOpen(item);
                      },
                      onKeyDown: (event: KeyboardEvent) => {
                        if (event.key === "Enter" && event.target === event.currentTarget) onOpen(item);
                      },
                    })}
              >
                {props.columns.map((column) => (
                  <td key={column.title} class={column.class ?? ""}>
                    {column.cell(item)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {props.foot}
    </>
  );
}

/** The button under a list that has more. */
export function More({ more, onMore }: { more: boolean; onMore: () => void }) {
  return more ? (
    <div class="rows-more">
      <button type="button" class="btn" onClick={onMore}>
        Load more
      </button>
    </div>
  ) : null;
}
