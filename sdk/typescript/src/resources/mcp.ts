/** MCP servers whose tools agents may use. */
import type { PostOptions, RequestOptions } from "../http/call.js";
import type { ListParams, Pages } from "../http/pages.js";
import type { McpServer, McpTool, Schema } from "../types.js";
import { Resource } from "./resource.js";

/** A new MCP server. */
export type McpServerParams = Schema<"McpServerParams">;
/** A change of an MCP server. */
export type McpServerUpdate = Schema<"McpServerUpdate">;

/** Servers of the Model Context Protocol, by id or name. */
export class McpServers extends Resource {
  /** Lists servers. */
  list(query?: ListParams, options?: RequestOptions): Pages<McpServer> {
    return this.api.list(["mcp_servers"], query, options);
  }

  /** Adds a server, and asks it what it has: `status` and `error` tell how that went. */
  create(params: McpServerParams, options?: PostOptions): Promise<McpServer> {
    return this.api.post(["mcp_servers"], params, options);
  }

  /** A server. */
  get(server: string, options?: RequestOptions): Promise<McpServer> {
    return this.api.get(["mcp_servers", server], options);
  }

  /** Changes a server, and asks it what it has. */
  update(server: string, params: McpServerUpdate, options?: RequestOptions): Promise<McpServer> {
    return this.api.patch(["mcp_servers", server], params, options);
  }

  /** Asks a server again what it has: `status` and `error` tell how that went. */
  refresh(server: string, options?: PostOptions): Promise<McpServer> {
    return this.api.post(["mcp_servers", server, "refresh"], undefined, options);
  }

  /** Removes a server that no agent names. */
  delete(server: string, options?: RequestOptions): Promise<void> {
    return this.api.delete(["mcp_servers", server], options);
  }
}

/** Tools of MCP servers. */
export class McpServerTools extends Resource {
  /** The tools that a server last said it has. */
  list(server: string, options?: RequestOptions): Pages<McpTool> {
    return this.api.list(["mcp_servers", server, "tools"], undefined, options);
  }
}
