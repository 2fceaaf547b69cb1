/** Files: what messages show, and what tools have made. */
import type { PostOptions, RequestOptions } from "../http/call.js";
import type { Artifact } from "../types.js";
import { Resource } from "./resource.js";

/** What to call an upload, and what it is. */
export interface ArtifactParams {
  /** At most 255 characters, without `/`. */
  filename?: string;
  /** Its media type; a `Blob` has its own. */
  media_type?: string;
}

/** Artifacts: at most 8 MiB each. */
export class Artifacts extends Resource {
  /** Keeps what is sent, to be shown to a model in a message. It is forgotten after a day in which no message uses it. */
  create(
    content: Blob | ArrayBuffer | Uint8Array | string,
    params: ArtifactParams = {},
    options?: PostOptions,
  ): Promise<Artifact> {
    const own = typeof Blob !== "undefined" && content instanceof Blob ? content.type : "";
    const mediaType = params.media_type ?? (own === "" ? "application/octet-stream" : own);
    return this.api.post(["artifacts"], undefined, options, {
      query: { filename: params.filename },
      upload: { content, mediaType },
    });
  }

  /** What an artifact is. */
  get(artifact: string, options?: RequestOptions): Promise<Artifact> {
    return this.api.get(["artifacts", artifact], options);
  }

  /** What is in it: all, or one range of bytes (`{ range: "bytes=0-1023" }`). */
  content(artifact: string, options?: RequestOptions & { range?: string }): Promise<ArrayBuffer> {
    const headers = options?.range === undefined ? {} : { range: options.range };
    return this.api.caller.bytes({
      method: "GET",
      path: ["artifacts", artifact, "content"],
      options,
      headers,
    });
  }
}
