/** The frame of one page: its title, where it is, what can be done. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { href } from "../router.ts";

/** A page. `up` is where Escape leads. */
export function Page(props: {
  title: string;
  /** Shown in place of the title's words, which stay the name of the document. */
  heading?: ComponentChildren;
  lead?: ComponentChildren;
  up?: { path: string[]; label: string };
  actions?: ComponentChildren;
  wide?: boolean;
  children: ComponentChildren;
}) {
  useEffect(() => {
    document.title = `${props.title} · Headwater`;
  }, [props.title]);
  const main = useRef<HTMLElement>(null);
  useEffect(() => {
    // What had the focus is gone with the page before: whoever goes on by keyboard or ear begins here.
    if (document.activeElement === document.body) main.current?.focus({ preventScroll: true });
  }, []);
  return (
    <main ref={main} id="main" tabIndex={-1} class={props.wide === true ? "page wide" : "page"}>
      <div class="page-inner">
        <div class="page-head">
          {props.up !== undefined && (
            <a class="crumb" href={href(props.up.path)} data-up>
              {props.up.label}
            </a>
          )}
          <h1>{props.heading ?? props.title}</h1>
          {props.actions !== undefined && <div class="actions">{props.actions}</div>}
        </div>
        {props.lead !== undefined && <p class="page-lead">{props.lead}</p>}
        {props.children}
      </div>
    </main>
  );
}
