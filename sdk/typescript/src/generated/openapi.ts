// Written by `npm run generate` from docs/openapi.json. Not to be edited.

export type paths = Record<string, never>;
export type webhooks = Record<string, never>;
export interface components {
  schemas: {
    /** @description Who did something. */
    Actor: {
      /** @description `usr_…` or `key_…`, `null` where there is none. */
      id?: string | null;
      /** @description Why the system acted: `expired`, `on_conflict`, `on_disconnect`, `deleted`. */
      reason?: string | null;
      /** @description What kind of actor. */
      type: components["schemas"]["ActorKind"];
    };
    /**
     * @description Kinds of actors.
     * @enum {string}
     */
    ActorKind: "user" | "tenant" | "operator" | "system";
    /** @description An agent with its configuration. */
    Agent: components["schemas"]["AgentConfig"] & {
      /**
       * Format: int32
       * @description The version that new runs use.
       */
      active_version: number;
      archived_at?: components["schemas"]["Timestamp"] | null;
      /** @description When it was made. */
      created_at: components["schemas"]["Timestamp"];
      /** @description Its id. */
      id: components["schemas"]["AgentId"];
      /** @description The tenant's own pairs. */
      metadata: components["schemas"]["BTreeMap"];
      /** @description Unique in the tenant. */
      name: string;
      /** @description Always `agent`. */
      object: string;
      /** @description When it was last changed. */
      updated_at: components["schemas"]["Timestamp"];
      /**
       * Format: int32
       * @description The version that is shown.
       */
      version: number;
    };
    /** @description What an agent is, flat on the agent and on each of its versions. All but `model` optional. */
    AgentConfig: {
      /** @description Who may approve. */
      approvals?: components["schemas"]["ApprovalSettings"];
      /** @description For people; at most 1024 characters. */
      description?: string | null;
      /**
       * Format: int64
       * @description For `grace`: 0 to 3 600 000.
       */
      disconnect_grace_ms?: number;
      /** @description Other models, in order; at most 8. */
      fallbacks?: components["schemas"]["Fallback"][];
      /** @description The system prompt; at most 64 KiB. */
      instructions?: string | null;
      /** @description Bounds of each run. */
      limits?: components["schemas"]["Limits"];
      /**
       * Format: int32
       * @description 1 to 1 000 000.
       */
      max_output_tokens?: number | null;
      /** @description `PROVIDER/model-id`. */
      model: string;
      /** @description What happens to a run whose budget is used up. */
      on_budget?: components["schemas"]["OnBudget"];
      /** @description What a new run does on a busy thread. */
      on_conflict?: components["schemas"]["OnConflict"];
      /** @description What happens when the last reader has gone. */
      on_disconnect?: components["schemas"]["OnDisconnect"];
      /** @description Whether it may call several at once. */
      parallel_tool_calls?: boolean;
      /** @description Which runs go first. */
      priority?: components["schemas"]["Priority"];
      /** @description Whether the provider may cache the prompt. */
      prompt_caching?: boolean;
      reasoning_effort?: components["schemas"]["ReasoningEffort"] | null;
      /** @description What the answer has to look like. */
      response_format?: components["schemas"]["ResponseFormat"];
      run_budget?: components["schemas"]["RunBudget"] | null;
      /**
       * Format: int64
       * @description For providers that take one.
       */
      seed?: number | null;
      /** @description At most 4. */
      stop?: string[];
      /**
       * Format: double
       * @description 0 to 2; `null` = the provider's default.
       */
      temperature?: number | null;
      /** @description Bounds of each model call. */
      timeouts?: components["schemas"]["Timeouts"];
      /** @description Whether the model calls tools. */
      tool_choice?: components["schemas"]["ToolChoice"];
      /** @description What it can call; at most 128. */
      tools?: components["schemas"]["Tool"][];
      /**
       * Format: double
       * @description Above 0, to 1.
       */
      top_p?: number | null;
      /** @description What happens when the thread does not fit. */
      truncation?: components["schemas"]["Truncation"];
      /** @description What user tokens may set on a run. */
      user_overrides?: components["schemas"]["OverrideField"][];
      /** @description What end users see. */
      user_visibility?: components["schemas"]["Visibility"];
    };
    AgentId: string;
    /** @description An agent to be. */
    AgentParams: {
      /** @description Who may approve. */
      approvals?: components["schemas"]["ApprovalSettings"];
      /** @description For people; at most 1024 characters. */
      description?: string | null;
      /**
       * Format: int64
       * @description For `grace`: 0 to 3 600 000.
       */
      disconnect_grace_ms?: number;
      /** @description Other models, in order; at most 8. */
      fallbacks?: components["schemas"]["Fallback"][];
      /** @description The system prompt; at most 64 KiB. */
      instructions?: string | null;
      /** @description Bounds of each run. */
      limits?: components["schemas"]["Limits"];
      /**
       * Format: int32
       * @description 1 to 1 000 000.
       */
      max_output_tokens?: number | null;
      /** @description The tenant's own pairs. */
      metadata?: components["schemas"]["BTreeMap"];
      /** @description `PROVIDER/model-id`. */
      model: string;
      /** @description `[a-z0-9][a-z0-9_-]{0,63}`, unique in the tenant. */
      name: string;
      /** @description What happens to a run whose budget is used up. */
      on_budget?: components["schemas"]["OnBudget"];
      /** @description What a new run does on a busy thread. */
      on_conflict?: components["schemas"]["OnConflict"];
      /** @description What happens when the last reader has gone. */
      on_disconnect?: components["schemas"]["OnDisconnect"];
      /** @description Whether it may call several at once. */
      parallel_tool_calls?: boolean;
      /** @description Which runs go first. */
      priority?: components["schemas"]["Priority"];
      /** @description Whether the provider may cache the prompt. */
      prompt_caching?: boolean;
      reasoning_effort?: components["schemas"]["ReasoningEffort"] | null;
      /** @description What the answer has to look like. */
      response_format?: components["schemas"]["ResponseFormat"];
      run_budget?: components["schemas"]["RunBudget"] | null;
      /**
       * Format: int64
       * @description For providers that take one.
       */
      seed?: number | null;
      /** @description At most 4. */
      stop?: string[];
      /**
       * Format: double
       * @description 0 to 2; `null` = the provider's default.
       */
      temperature?: number | null;
      /** @description Bounds of each model call. */
      timeouts?: components["schemas"]["Timeouts"];
      /** @description Whether the model calls tools. */
      tool_choice?: components["schemas"]["ToolChoice"];
      /** @description What it can call; at most 128. */
      tools?: components["schemas"]["Tool"][];
      /**
       * Format: double
       * @description Above 0, to 1.
       */
      top_p?: number | null;
      /** @description What happens when the thread does not fit. */
      truncation?: components["schemas"]["Truncation"];
      /** @description What user tokens may set on a run. */
      user_overrides?: components["schemas"]["OverrideField"][];
      /** @description What end users see. */
      user_visibility?: components["schemas"]["Visibility"];
    };
    /** @description An agent to be. */
    AgentPut: {
      /** @description Who may approve. */
      approvals?: components["schemas"]["ApprovalSettings"];
      /** @description For people; at most 1024 characters. */
      description?: string | null;
      /**
       * Format: int64
       * @description For `grace`: 0 to 3 600 000.
       */
      disconnect_grace_ms?: number;
      /** @description Other models, in order; at most 8. */
      fallbacks?: components["schemas"]["Fallback"][];
      /** @description The system prompt; at most 64 KiB. */
      instructions?: string | null;
      /** @description Bounds of each run. */
      limits?: components["schemas"]["Limits"];
      /**
       * Format: int32
       * @description 1 to 1 000 000.
       */
      max_output_tokens?: number | null;
      /** @description The tenant's own pairs. */
      metadata?: components["schemas"]["BTreeMap"];
      /** @description `PROVIDER/model-id`. */
      model: string;
      /** @description `[a-z0-9][a-z0-9_-]{0,63}`, unique in the tenant. */
      name?: string;
      /** @description What happens to a run whose budget is used up. */
      on_budget?: components["schemas"]["OnBudget"];
      /** @description What a new run does on a busy thread. */
      on_conflict?: components["schemas"]["OnConflict"];
      /** @description What happens when the last reader has gone. */
      on_disconnect?: components["schemas"]["OnDisconnect"];
      /** @description Whether it may call several at once. */
      parallel_tool_calls?: boolean;
      /** @description Which runs go first. */
      priority?: components["schemas"]["Priority"];
      /** @description Whether the provider may cache the prompt. */
      prompt_caching?: boolean;
      reasoning_effort?: components["schemas"]["ReasoningEffort"] | null;
      /** @description What the answer has to look like. */
      response_format?: components["schemas"]["ResponseFormat"];
      run_budget?: components["schemas"]["RunBudget"] | null;
      /**
       * Format: int64
       * @description For providers that take one.
       */
      seed?: number | null;
      /** @description At most 4. */
      stop?: string[];
      /**
       * Format: double
       * @description 0 to 2; `null` = the provider's default.
       */
      temperature?: number | null;
      /** @description Bounds of each model call. */
      timeouts?: components["schemas"]["Timeouts"];
      /** @description Whether the model calls tools. */
      tool_choice?: components["schemas"]["ToolChoice"];
      /** @description What it can call; at most 128. */
      tools?: components["schemas"]["Tool"][];
      /**
       * Format: double
       * @description Above 0, to 1.
       */
      top_p?: number | null;
      /** @description What happens when the thread does not fit. */
      truncation?: components["schemas"]["Truncation"];
      /** @description What user tokens may set on a run. */
      user_overrides?: components["schemas"]["OverrideField"][];
      /** @description What end users see. */
      user_visibility?: components["schemas"]["Visibility"];
    };
    /** @description An agent as end users see it: never its instructions or tools. */
    AgentSummary: {
      /** @description When it was made. */
      created_at: components["schemas"]["Timestamp"];
      /** @description For people. */
      description?: string | null;
      /** @description Its id. */
      id: components["schemas"]["AgentId"];
      /** @description The tenant's own pairs. */
      metadata: components["schemas"]["BTreeMap"];
      /** @description Unique in the tenant. */
      name: string;
      /** @description Always `agent`. */
      object: string;
    };
    /** @description Another agent, which works on what it is told in a run and a thread of its own. The run that calls it waits, suspended. */
    AgentTool: {
      /** @description The agent's name, or its id. Its active version answers, as of the call. */
      agent: string;
      /** @description For the model; at most 4096 characters. `null` = in the product's words. */
      description?: string | null;
      /**
       * Format: int32
       * @description How deep runs may call runs by this tool: 1 to 8. A run that was called so often itself is not offered it.
       */
      max_depth?: number;
      /**
       * Format: int64
       * @description How much of an answer the model sees: 1 024 to 262 144; `null` = as `limits.max_tool_result_bytes`.
       */
      max_result_bytes?: number | null;
      /** @description `[a-zA-Z0-9_-]{1,64}`, unique in the agent. */
      name: string;
      /** @description Whether it is carried out. */
      policy?: components["schemas"]["Policy"];
      /** @description What its arguments change about that: the first rule that matches; at most 32. */
      policy_rules?: components["schemas"]["PolicyRule"][];
    };
    /** @description What is to be changed: what is left out stays. */
    AgentUpdate: {
      /**
       * @description Whether the version that a change makes is the active one from now on; it is unless said otherwise.
       * @default true
       */
      activate?: boolean;
      /**
       * Format: int32
       * @description Another version that there is, instead of a change: rolls back.
       */
      active_version?: number | null;
      /** @description Who may approve. */
      approvals?: components["schemas"]["ApprovalSettings"];
      /** @description For people; at most 1024 characters. */
      description?: string | null;
      /**
       * Format: int64
       * @description For `grace`: 0 to 3 600 000.
       */
      disconnect_grace_ms?: number;
      /** @description Other models, in order; at most 8. */
      fallbacks?: components["schemas"]["Fallback"][];
      /** @description The system prompt; at most 64 KiB. */
      instructions?: string | null;
      /** @description Bounds of each run. */
      limits?: components["schemas"]["Limits"];
      /**
       * Format: int32
       * @description 1 to 1 000 000.
       */
      max_output_tokens?: number | null;
      /** @description The tenant's own pairs. */
      metadata?: components["schemas"]["BTreeMap"];
      /** @description `PROVIDER/model-id`. */
      model?: string;
      /** @description `[a-z0-9][a-z0-9_-]{0,63}`, unique in the tenant. */
      name?: string;
      /** @description What happens to a run whose budget is used up. */
      on_budget?: components["schemas"]["OnBudget"];
      /** @description What a new run does on a busy thread. */
      on_conflict?: components["schemas"]["OnConflict"];
      /** @description What happens when the last reader has gone. */
      on_disconnect?: components["schemas"]["OnDisconnect"];
      /** @description Whether it may call several at once. */
      parallel_tool_calls?: boolean;
      /** @description Which runs go first. */
      priority?: components["schemas"]["Priority"];
      /** @description Whether the provider may cache the prompt. */
      prompt_caching?: boolean;
      reasoning_effort?: components["schemas"]["ReasoningEffort"] | null;
      /** @description What the answer has to look like. */
      response_format?: components["schemas"]["ResponseFormat"];
      run_budget?: components["schemas"]["RunBudget"] | null;
      /**
       * Format: int64
       * @description For providers that take one.
       */
      seed?: number | null;
      /** @description At most 4. */
      stop?: string[];
      /**
       * Format: double
       * @description 0 to 2; `null` = the provider's default.
       */
      temperature?: number | null;
      /** @description Bounds of each model call. */
      timeouts?: components["schemas"]["Timeouts"];
      /** @description Whether the model calls tools. */
      tool_choice?: components["schemas"]["ToolChoice"];
      /** @description What it can call; at most 128. */
      tools?: components["schemas"]["Tool"][];
      /**
       * Format: double
       * @description Above 0, to 1.
       */
      top_p?: number | null;
      /** @description What happens when the thread does not fit. */
      truncation?: components["schemas"]["Truncation"];
      /** @description What user tokens may set on a run. */
      user_overrides?: components["schemas"]["OverrideField"][];
      /** @description What end users see. */
      user_visibility?: components["schemas"]["Visibility"];
    };
    /** @description A key of a tenant. */
    ApiKey: {
      /** @description When it was made. */
      created_at: components["schemas"]["Timestamp"];
      expires_at?: components["schemas"]["Timestamp"] | null;
      /** @description The first and last characters, to tell keys apart. */
      hint: string;
      /** @description Its id. */
      id: components["schemas"]["KeyId"];
      last_used_at?: components["schemas"]["Timestamp"] | null;
      /** @description What it is for. */
      name: string;
      /** @description Always `api_key`. */
      object: string;
      revoked_at?: components["schemas"]["Timestamp"] | null;
      /** @description What it may do. */
      scopes: string[];
      /** @description `hw_sk_…`, in the first answer only. */
      secret?: string | null;
      /** @description The tenant it acts for. */
      tenant: components["schemas"]["TenantId"];
    };
    /** @description A question to a person, and its answer. */
    Approval: {
      /** @description What it would be called with; `null` for users who may not see it. */
      args?: unknown;
      /**
       * @description `sha256:` and the digest of the arguments that are carried out, in canonical JSON; empty for users who may not see
       *     arguments.
       */
      args_hash: string;
      by?: components["schemas"]["Actor"] | null;
      /** @description The call concerned. */
      call: components["schemas"]["CallId"];
      /** @description What the one who decided said. */
      comment?: string | null;
      /** @description When it was asked. */
      created_at: components["schemas"]["Timestamp"];
      decided_at?: components["schemas"]["Timestamp"] | null;
      /** @description Who may decide. */
      deciders: components["schemas"]["Decider"][];
      /** @description What it is called with instead. */
      edited_args?: unknown;
      /** @description Until when it can be decided. */
      expires_at: components["schemas"]["Timestamp"];
      /** @description Its id. */
      id: components["schemas"]["ApprovalId"];
      /** @description What is asked. */
      kind: components["schemas"]["ApprovalKind"];
      /** @description The question in words. */
      message: string;
      /** @description The tool. */
      name: string;
      /** @description Always `approval`. */
      object: string;
      remember?: components["schemas"]["Remember"] | null;
      /** @description The run that waits. */
      run: components["schemas"]["RunId"];
      /** @description JSON Schema that edited arguments have to satisfy; empty for users who may not see arguments. */
      schema: unknown;
      /** @description Where it stands. */
      status: components["schemas"]["ApprovalStatus"];
      /** @description Its thread. */
      thread: components["schemas"]["ThreadId"];
      /** @description Its user. */
      user: components["schemas"]["UserId"];
    };
    ApprovalId: string;
    /**
     * @description What is asked.
     * @enum {string}
     */
    ApprovalKind: "tool" | "unknown_outcome";
    /** @description Who may approve, how long, and what silence means. */
    ApprovalSettings: {
      /**
       * @description `user`, `tenant` or both. With none, an agent whose tools may ask somebody cannot be run.
       * @default [
       *       "user",
       *       "tenant"
       *     ]
       */
      deciders?: components["schemas"]["Decider"][];
      /**
       * @description What happens when nobody decided.
       * @default deny
       */
      on_expiry?: components["schemas"]["OnExpiry"];
      /**
       * Format: int64
       * @description 1 000 to 2 592 000 000 (30 days).
       * @default 86400000
       */
      ttl_ms?: number;
    };
    /**
     * @description Where an approval stands.
     * @enum {string}
     */
    ApprovalStatus: "pending" | "approved" | "denied" | "cancelled" | "expired";
    /** @description Something that a tool answered, or that a user has uploaded to show it to a model. What is in it is at `/v1/artifacts/{artifact}/content`. */
    Artifact: {
      call?: components["schemas"]["CallId"] | null;
      /** @description When it was made. */
      created_at: components["schemas"]["Timestamp"];
      /** @description What to call it. */
      filename?: string | null;
      /** @description Its id. */
      id: components["schemas"]["ArtifactId"];
      /** @description What it is, as its maker says. */
      media_type: string;
      /** @description Always `artifact`. */
      object: string;
      run?: components["schemas"]["RunId"] | null;
      /** @description SHA-256 of the content, in hexadecimal digits. */
      sha256: string;
      /**
       * Format: int64
       * @description How large it is.
       */
      size_bytes: number;
      /** @description The user it belongs to. */
      user: components["schemas"]["UserId"];
    };
    ArtifactId: string;
    BTreeMap: {
      [key: string]: string;
    };
    /**
     * @description Whether a provider is asked at all.
     * @enum {string}
     */
    BreakerState: "closed" | "open" | "probing";
    /** @description A limit on money. A call must pass every budget that covers it. */
    Budget: {
      /** @description When it was made. */
      created_at: components["schemas"]["Timestamp"];
      /** @description Its id. */
      id: components["schemas"]["BudgetId"];
      /** @description How much may be spent in each window. */
      limit: components["schemas"]["Money"];
      /** @description What happens when it is used up. */
      mode: components["schemas"]["BudgetMode"];
      /** @description Always `budget`. */
      object: string;
      /** @description Whether it comes with the tenant's plan, and is changed there. */
      of_plan: boolean;
      /** @description Who may change it. */
      owner: components["schemas"]["BudgetOwner"];
      remaining?: components["schemas"]["Money"] | null;
      reserved?: components["schemas"]["Money"] | null;
      resets_at?: components["schemas"]["Timestamp"] | null;
      /** @description Whose calls it covers. */
      scope: components["schemas"]["BudgetScope"];
      spent?: components["schemas"]["Money"] | null;
      status?: components["schemas"]["BudgetStatus"] | null;
      /** @description Whether a call is taken to cost what its bytes could cost at most, where the model's vocabulary is not public. */
      strict: boolean;
      /** @description When it was changed last. */
      updated_at: components["schemas"]["Timestamp"];
      user?: components["schemas"]["UserId"] | null;
      /**
       * Format: int32
       * @description From which part of the limit on runs are told, in percent.
       */
      warn_at_percent: number;
      /** @description What the limit is for. */
      window: components["schemas"]["BudgetWindow"];
    };
    BudgetId: string;
    /**
     * @description What happens when it is used up.
     * @enum {string}
     */
    BudgetMode: "hard" | "soft";
    /**
     * @description Who may change a budget. The tenant sees its operator's.
     * @enum {string}
     */
    BudgetOwner: "operator" | "tenant";
    /** @description What a new budget is made of. */
    BudgetParams: {
      /** @description How much may be spent in each window. */
      limit: components["schemas"]["Money"];
      /** @description What happens when it is used up: `hard` if not given. */
      mode?: components["schemas"]["BudgetMode"];
      /** @description Whose calls it covers. */
      scope: components["schemas"]["BudgetScope"];
      /** @description Whether a call is taken to cost what its bytes could cost at most. */
      strict?: boolean;
      /**
       * Format: int32
       * @description From which part of the limit on runs are told: 1 to 100, 80 if not given.
       */
      warn_at_percent?: number;
      /** @description What the limit is for: `month` if not given. */
      window?: components["schemas"]["BudgetWindow"];
    };
    /** @description Whose calls a budget covers. */
    BudgetScope: {
      /** @description The user (`usr_…`) or agent (`agt_…`); `null` for `tenant` and `each_user`. */
      id?: string | null;
      /** @description The kind. */
      type: components["schemas"]["BudgetScopeType"];
    };
    /**
     * @description Whose calls a budget covers.
     * @enum {string}
     */
    BudgetScopeType: "tenant" | "user" | "each_user" | "agent";
    /**
     * @description How much is left.
     * @enum {string}
     */
    BudgetStatus: "ok" | "warning" | "exhausted";
    /** @description Changes of a budget. What is absent stays. */
    BudgetUpdate: {
      /** @default null */
      limit?: components["schemas"]["Money"] | null;
      /** @default null */
      mode?: components["schemas"]["BudgetMode"] | null;
      /**
       * @description Whether a call is taken to cost what its bytes could cost at most.
       * @default null
       */
      strict?: boolean | null;
      /**
       * Format: int32
       * @description From which part of the limit on runs are told.
       * @default null
       */
      warn_at_percent?: number | null;
    };
    /**
     * @description What the limit is for, in UTC.
     * @enum {string}
     */
    BudgetWindow: "day" | "month" | "total";
    /**
     * @description What this server does itself.
     * @enum {string}
     */
    Builtin: "memory" | "time";
    /** @description A tool of this server's own. */
    BuiltinTool: {
      /** @description Which. */
      name: components["schemas"]["Builtin"];
      /** @description Whether it is carried out. */
      policy?: components["schemas"]["Policy"];
      /** @description What its arguments change about that: the first rule that matches; at most 32. */
      policy_rules?: components["schemas"]["PolicyRule"][];
    };
    /** @description Something that keeps a process awake, and how much of it there is. */
    BusyWith: {
      /**
       * Format: int64
       * @description How many.
       */
      count: number;
      /** @description `runs`, `streams`, `database`. */
      what: string;
    };
    CallId: string;
    /** @description The answer to the call that the path names. */
    CallResult: {
      /** @description What went wrong, in words for the model; at most 4096 characters. */
      error?: string | null;
      /** @description Any JSON of at most 128 KiB; `null` with `error`. */
      output?: unknown;
    };
    /** @description Asks for a run's end. */
    CancelParams: {
      /**
       * @description For the record; at most 256 characters.
       * @default null
       */
      reason?: string | null;
    };
    /** @description A tool that the tenant's own application runs. */
    ClientTool: {
      /** @description For the model; at most 4096 characters. */
      description?: string | null;
      /** @description What a second call would do. */
      effect?: components["schemas"]["Effect"];
      /** @description `[a-zA-Z0-9_-]{1,64}`, unique in the agent. */
      name: string;
      /** @description JSON Schema of its arguments, an object; at most 64 KiB. */
      parameters?: unknown;
      /** @description Whether it is carried out. */
      policy?: components["schemas"]["Policy"];
      /** @description What its arguments change about that: the first rule that matches; at most 32. */
      policy_rules?: components["schemas"]["PolicyRule"][];
      /**
       * Format: int64
       * @description How long an answer is waited for: 1 000 to 2 592 000 000 (30 days).
       */
      ttl_ms?: number;
    };
    /** @description What the arguments have to be like for a rule to match. */
    Condition: {
      /** @description How it is compared. */
      op: components["schemas"]["Op"];
      /** @description JSON pointer into the arguments, such as `/amount`. */
      path: string;
      /** @description With what; absent for `exists` and `absent`. */
      value?: unknown;
    };
    /** @description What a request gives as content: a string is one text part. */
    Content: string | components["schemas"]["InputPart"][];
    /**
     * @description Who may decide.
     * @enum {string}
     */
    Decider: "user" | "tenant";
    /** @description What a person decides. */
    Decision: {
      /** @description For the record, and with `denied` for the model; at most 4096 characters. */
      comment?: string | null;
      /** @description What. */
      decision: components["schemas"]["DecisionKind"];
      /** @description With `approved`: arguments to call it with instead. They have to satisfy the approval's `schema`. */
      edited_args?: unknown;
      /** @description Of an unknown outcome, with `denied`: what is known to have happened. */
      output?: unknown;
      /** @description For what it holds; `thread` only with `approved`, unedited. `null` = `call`. */
      remember?: components["schemas"]["Remember"];
    };
    /**
     * @description What is decided.
     * @enum {string}
     */
    DecisionKind: "approved" | "denied" | "cancelled";
    DeliveryId: string;
    /**
     * @description How far a delivery is.
     * @enum {string}
     */
    DeliveryStatus: "pending" | "delivered" | "failed";
    /**
     * @description How closely a model looks at a picture.
     * @enum {string}
     */
    Detail: "auto" | "low" | "high";
    /** @description What the doctor has found, as far as a running server can look; `headwater doctor` looks at settings and providers too. */
    Doctor: {
      /** @description When. */
      checked_at: components["schemas"]["Timestamp"];
      /** @description What was seen, in the order in which it was looked at. */
      findings: components["schemas"]["Finding"][];
      /** @description Always `doctor`. */
      object: string;
    };
    /**
     * @description What happens when a call is made twice.
     * @enum {string}
     */
    Effect: "read" | "idempotent" | "side_effect";
    /**
     * @description A stable name for what went wrong.
     * @enum {string}
     */
    ErrorCode:
      | "agent_not_found"
      | "already_decided"
      | "already_exists"
      | "already_submitted"
      | "approval_expired"
      | "attempts_exhausted"
      | "body_too_large"
      | "budget_exhausted"
      | "capacity_exceeded"
      | "content_filtered"
      | "context_length_exceeded"
      | "cursor_ahead"
      | "draining"
      | "forbidden"
      | "headers_too_large"
      | "history_trimmed"
      | "idempotency_in_progress"
      | "idempotency_mismatch"
      | "in_use"
      | "input_expired"
      | "internal"
      | "invalid_cursor"
      | "invalid_json"
      | "invalid_output"
      | "invalid_request"
      | "invalid_schema"
      | "invalid_value"
      | "method_not_allowed"
      | "model_not_found"
      | "no_approver"
      | "not_acceptable"
      | "not_found"
      | "origin_not_allowed"
      | "overloaded"
      | "override_not_allowed"
      | "price_unknown"
      | "provider_auth_failed"
      | "provider_invalid_response"
      | "provider_quota_exhausted"
      | "provider_rate_limited"
      | "provider_rejected"
      | "provider_timeout"
      | "provider_truncated"
      | "provider_unavailable"
      | "queue_timeout"
      | "range_not_satisfiable"
      | "rate_limited"
      | "replica_lost"
      | "request_timeout"
      | "run_finished"
      | "run_not_suspended"
      | "run_timeout"
      | "tenant_suspended"
      | "thread_busy"
      | "token_expired"
      | "too_many_runs"
      | "too_many_streams"
      | "tool_error"
      | "tool_invalid_args"
      | "tool_invalid_output"
      | "tool_limit"
      | "tool_not_found"
      | "tool_outcome_unknown"
      | "tool_timeout"
      | "tool_unreachable"
      | "unauthenticated"
      | "unavailable"
      | "unknown_field"
      | "unsupported_by_model"
      | "unsupported_media_type"
      | "url_not_allowed"
      | "user_blocked"
      | "user_required"
      | "version_conflict";
    /** @description One event with its envelope, as a client reads it. */
    Event: components["schemas"]["EventBody"] & {
      /** @description The run. */
      run: components["schemas"]["RunId"];
      /**
       * Format: int64
       * @description Position in the run's log, dense from 1.
       */
      seq: number;
      /** @description When it was written. */
      ts: components["schemas"]["Timestamp"];
      /**
       * Format: int32
       * @description Version of the envelope: 1.
       */
      v: number;
    };
    /** @description What an event tells, by its `type`. Types that this release does not know read as [`EventBody::Unknown`]. */
    EventBody:
      | {
          after_run?: components["schemas"]["RunId"] | null;
          agent: components["schemas"]["AgentId"];
          /** Format: int32 */
          agent_version: number;
          input_messages: components["schemas"]["MessageId"][];
          run_at?: components["schemas"]["Timestamp"] | null;
          thread: components["schemas"]["ThreadId"];
          /** @enum {string} */
          type: "run.queued";
          user: components["schemas"]["UserId"];
        }
      | {
          agent: components["schemas"]["AgentId"];
          /** Format: int32 */
          agent_version: number;
          /** Format: int32 */
          attempt: number;
          model: string;
          /** @enum {string} */
          type: "run.started";
        }
      | {
          pending: components["schemas"]["Pending"][];
          reason: string;
          /** @enum {string} */
          type: "run.suspended";
        }
      | {
          /** Format: int32 */
          attempt: number;
          reason: string;
          /** @enum {string} */
          type: "run.resumed";
        }
      | {
          cost?: components["schemas"]["Money"] | null;
          result: components["schemas"]["RunResult"];
          /** @enum {string} */
          type: "run.completed";
          usage: components["schemas"]["Usage"];
        }
      | {
          code: components["schemas"]["ErrorCode"];
          cost?: components["schemas"]["Money"] | null;
          error: components["schemas"]["Problem"];
          message?: string | null;
          retryable: boolean;
          /** @enum {string} */
          type: "run.failed";
          usage: components["schemas"]["Usage"];
        }
      | {
          by: components["schemas"]["Actor"];
          cost?: components["schemas"]["Money"] | null;
          /** @enum {string} */
          type: "run.cancelled";
          usage: components["schemas"]["Usage"];
        }
      | {
          input_messages: components["schemas"]["MessageId"][];
          model: string;
          /** Format: int32 */
          step: number;
          /** @enum {string} */
          type: "step.started";
        }
      | {
          cost?: components["schemas"]["Money"] | null;
          finish_reason: components["schemas"]["FinishReason"];
          /** Format: int32 */
          step: number;
          /** @enum {string} */
          type: "step.finished";
          usage: components["schemas"]["Usage"];
        }
      | {
          calls: components["schemas"]["CallId"][];
          messages: components["schemas"]["MessageId"][];
          reason: string;
          /** Format: int32 */
          step: number;
          /** @enum {string} */
          type: "step.reset";
        }
      | {
          message: components["schemas"]["MessageId"];
          role: components["schemas"]["Role"];
          /** Format: int32 */
          step: number;
          /** @enum {string} */
          type: "message.started";
        }
      | {
          delta: string;
          message: components["schemas"]["MessageId"];
          /** @enum {string} */
          type: "message.delta";
        }
      | {
          message: components["schemas"]["MessageId"];
          role: components["schemas"]["Role"];
          status: components["schemas"]["MessageStatus"];
          /** Format: int32 */
          step: number;
          text: string;
          /** @enum {string} */
          type: "message.completed";
        }
      | {
          message: components["schemas"]["MessageId"];
          /** Format: int32 */
          step: number;
          /** @enum {string} */
          type: "reasoning.started";
        }
      | {
          delta: string;
          message: components["schemas"]["MessageId"];
          /** @enum {string} */
          type: "reasoning.delta";
        }
      | {
          message: components["schemas"]["MessageId"];
          text: string;
          /** @enum {string} */
          type: "reasoning.completed";
        }
      | {
          call: components["schemas"]["CallId"];
          effect?: string | null;
          kind?: string | null;
          message: components["schemas"]["MessageId"];
          name: string;
          /** Format: int32 */
          step: number;
          /** @enum {string} */
          type: "tool.started";
        }
      | {
          call: components["schemas"]["CallId"];
          delta: string;
          /** @enum {string} */
          type: "tool.args.delta";
        }
      | {
          args?: unknown;
          call: components["schemas"]["CallId"];
          /** @enum {string} */
          type: "tool.args";
        }
      | {
          call: components["schemas"]["CallId"];
          message?: string | null;
          /** Format: double */
          progress: number;
          /** Format: double */
          total?: number | null;
          /** @enum {string} */
          type: "tool.progress";
        }
      | {
          agent: components["schemas"]["AgentId"];
          /** Format: int32 */
          agent_version: number;
          call: components["schemas"]["CallId"];
          sub_run: components["schemas"]["RunId"];
          /** @enum {string} */
          type: "sub_run.started";
        }
      | {
          call: components["schemas"]["CallId"];
          cost?: components["schemas"]["Money"] | null;
          estimated: boolean;
          status: components["schemas"]["RunStatus"];
          sub_run: components["schemas"]["RunId"];
          /** @enum {string} */
          type: "sub_run.finished";
          usage: components["schemas"]["Usage"];
        }
      | {
          artifact?: components["schemas"]["ArtifactId"] | null;
          call: components["schemas"]["CallId"];
          /** Format: int64 */
          duration_ms: number;
          output?: unknown;
          /** @enum {string} */
          type: "tool.completed";
        }
      | {
          artifact: components["schemas"]["ArtifactId"];
          call?: components["schemas"]["CallId"] | null;
          filename?: string | null;
          media_type: string;
          message?: components["schemas"]["MessageId"] | null;
          /** Format: int64 */
          size_bytes: number;
          /** @enum {string} */
          type: "artifact";
        }
      | {
          call: components["schemas"]["CallId"];
          /** Format: int64 */
          duration_ms: number;
          error: components["schemas"]["Problem"];
          /** @enum {string} */
          type: "tool.failed";
        }
      | {
          by?: components["schemas"]["Actor"] | null;
          call: components["schemas"]["CallId"];
          comment?: string | null;
          /** @enum {string} */
          type: "tool.denied";
        }
      | {
          approval: components["schemas"]["ApprovalId"];
          args?: unknown;
          call: components["schemas"]["CallId"];
          deciders: components["schemas"]["Decider"][];
          expires_at: components["schemas"]["Timestamp"];
          kind: components["schemas"]["ApprovalKind"];
          message: string;
          name: string;
          schema: unknown;
          /** @enum {string} */
          type: "approval.requested";
        }
      | {
          approval: components["schemas"]["ApprovalId"];
          by?: components["schemas"]["Actor"] | null;
          call: components["schemas"]["CallId"];
          comment?: string | null;
          decision: components["schemas"]["ApprovalStatus"];
          edited_args?: unknown;
          remember?: components["schemas"]["Remember"] | null;
          /** @enum {string} */
          type: "approval.resolved";
        }
      | {
          expected?: components["schemas"]["Money"] | null;
          /** Format: int64 */
          input_tokens: number;
          model: string;
          model_call: components["schemas"]["ModelCallId"];
          reserve?: components["schemas"]["Money"] | null;
          /** Format: int32 */
          step: number;
          /** @enum {string} */
          type: "cost.estimated";
        }
      | {
          model: string;
          model_call: components["schemas"]["ModelCallId"];
          response: string;
          /** Format: int32 */
          step: number;
          /** @enum {string} */
          type: "model.started";
        }
      | {
          cost?: components["schemas"]["Money"] | null;
          estimated: boolean;
          model: string;
          model_call: components["schemas"]["ModelCallId"];
          run_cost?: components["schemas"]["Money"] | null;
          /** Format: int32 */
          step: number;
          /** @enum {string} */
          type: "cost.settled";
          usage: components["schemas"]["Usage"];
        }
      | {
          budget: components["schemas"]["BudgetId"];
          limit: components["schemas"]["Money"];
          mode: components["schemas"]["BudgetMode"];
          remaining: components["schemas"]["Money"];
          scope: components["schemas"]["BudgetScope"];
          spent: components["schemas"]["Money"];
          /** @enum {string} */
          type: "budget.warning";
        }
      | {
          /** Format: int32 */
          queue_pos: number;
          reason: string;
          /** @enum {string} */
          type: "throttled";
          /** Format: int64 */
          wait_ms: number;
        }
      | {
          /** @enum {string} */
          type: "hidden";
        };
    EventId: string;
    /** @description A page of a run's log. */
    EventPage: {
      /** @description Whether deltas have been dropped. */
      compacted: boolean;
      /** @description The events, in order. */
      data: components["schemas"]["Event"][];
      /**
       * Format: int64
       * @description The first seq from which nothing is missing.
       */
      earliest: number;
      /** @description Whether more are there already. */
      has_more: boolean;
      /** @description The last event of this page; give it as `after`. */
      next_cursor?: string | null;
      /** @description Always `list`. */
      object: string;
      /** @description Where the run stands. */
      status: components["schemas"]["RunStatus"];
      /**
       * Format: int64
       * @description The last event of the log.
       */
      tail: number;
    };
    /** @description A model call of a run, as the ledger has it. */
    ExplainedCall: {
      /**
       * Format: int32
       * @description Counts the attempts of the call from 1.
       */
      attempt: number;
      cost?: components["schemas"]["Money"] | null;
      /**
       * Format: int64
       * @description From sending to the end.
       */
      duration_ms: number;
      error?: components["schemas"]["Problem"] | null;
      /** @description Whether the usage was proven only in part. */
      estimated: boolean;
      expected?: components["schemas"]["Money"] | null;
      /**
       * Format: int64
       * @description From sending to the first delta; `null` without one.
       */
      first_token_ms?: number | null;
      /** @description The model that answered. */
      model: string;
      /** @description The call. */
      model_call: components["schemas"]["ModelCallId"];
      /** @description `completed`, `failed`, `cancelled`, or `reset` when its process was lost and the step was done again. */
      outcome: string;
      /**
       * Format: int64
       * @description How long it waited for its turn.
       */
      queued_ms: number;
      reserve?: components["schemas"]["Money"] | null;
      /**
       * Format: int32
       * @description Its step.
       */
      step: number;
      /** @description Its tokens. */
      usage: components["schemas"]["Usage"];
    };
    /** @description Another model, for when the first one's provider fails before the first delta. */
    Fallback: {
      /**
       * Format: int32
       * @description A limit of its own.
       */
      max_output_tokens?: number | null;
      /** @description `PROVIDER/model-id`. */
      model: string;
    };
    /**
     * @description Who has to act for the error to go away.
     * @enum {string}
     */
    Fault: "caller" | "tenant" | "provider" | "tool" | "server";
    /** @description One of several errors in a request body. */
    FieldError: {
      /** @description `invalid_value` or `unknown_field`, mostly. */
      code: components["schemas"]["ErrorCode"];
      /** @description What is wrong, for a person. */
      detail: string;
      /** @description A JSON pointer into the body, or `header:NAME`, or `query:NAME`. */
      param: string;
    };
    /** @description Something that was looked at. */
    Finding: {
      /** @description What to do about it. */
      advice?: string | null;
      /** @description How much it matters. */
      level: components["schemas"]["FindingLevel"];
      /** @description What was looked at: `wall`, `schema`, `money`, … */
      what: string;
      /** @description What was seen. */
      words: string;
    };
    /**
     * @description How much a finding matters.
     * @enum {string}
     */
    FindingLevel: "ok" | "note" | "error";
    /**
     * @description Why a model stopped.
     * @enum {string}
     */
    FinishReason: "stop" | "length" | "tool_calls" | "max_steps" | "content_filter";
    /**
     * @description What is sent to an endpoint. `{{args.NAME}}`, `{{secret.NAME}}`, `{{user.id}}`, `{{user.external_id}}`, `{{run.id}}`,
     *     `{{thread.id}}` and `{{call.id}}` are filled in, each escaped for its place; scheme, host and port hold none of them, and a
     *     secret stands in headers, query and body alone.
     */
    HttpRequest: {
      /** @description JSON; a string that is one template and nothing else becomes the value itself. `null` = no body. */
      body?: unknown;
      /** @description At most 32. */
      headers?: {
        [key: string]: string;
      };
      /** @description How. */
      method: components["schemas"]["Method"];
      /** @description At most 32. One whose only template has no value is left out. */
      query?: {
        [key: string]: string;
      };
      /** @description Where; at most 2048 bytes. */
      url: string;
    };
    /** @description An HTTP endpoint. */
    HttpTool: {
      /** @description Arguments that are always these: the model neither sees nor sets them. */
      defaults?: {
        [key: string]: unknown;
      };
      /** @description For the model; at most 4096 characters. */
      description?: string | null;
      /** @description What a second call would do. */
      effect?: components["schemas"]["Effect"];
      /**
       * Format: int64
       * @description How much of an answer the model sees: 1 024 to 262 144; `null` = as `limits.max_tool_result_bytes`.
       */
      max_result_bytes?: number | null;
      /** @description `[a-zA-Z0-9_-]{1,64}`, unique in the agent. */
      name: string;
      /** @description JSON Schema that an answer has to satisfy; `null` = any. */
      output_schema?: unknown;
      /** @description JSON Schema of its arguments, an object; at most 64 KiB. */
      parameters?: unknown;
      /** @description Whether it is carried out. */
      policy?: components["schemas"]["Policy"];
      /** @description What its arguments change about that: the first rule that matches; at most 32. */
      policy_rules?: components["schemas"]["PolicyRule"][];
      /** @description What is sent. */
      request: components["schemas"]["HttpRequest"];
      /**
       * Format: int64
       * @description For the whole call: 100 to 600 000.
       */
      timeout_ms?: number;
    };
    /** @description A thread made on the way. */
    InlineThread: {
      /**
       * @description The tenant's own id for it.
       * @default null
       */
      external_id?: string | null;
      /**
       * @description Own pairs.
       * @default {}
       */
      metadata?: components["schemas"]["BTreeMap"];
    };
    /** @description A part in a request. */
    InputPart:
      | {
          /** @description At most 256 KiB. */
          text: string;
          /** @enum {string} */
          type: "text";
        }
      | {
          /** @description How closely the model looks at it. */
          detail: components["schemas"]["Detail"];
          /** @description Where it is. */
          source: components["schemas"]["InputSource"];
          /** @enum {string} */
          type: "image";
        }
      | {
          /** @description What to call it: at most 255 characters, without `/`. `null` = as the artifact is called. */
          filename?: string | null;
          /** @description Where it is. */
          source: components["schemas"]["InputSource"];
          /** @enum {string} */
          type: "file";
        };
    /** @description Where a picture or a file in a request is. All of them together are at most 8 MiB. */
    InputSource:
      | {
          /** @enum {string} */
          type: "url";
          /** @description `https` or `http`; at most 2048 bytes. */
          url: string;
        }
      | {
          /** @description At most 512 KiB once decoded; what is larger is uploaded (`POST /v1/artifacts`). */
          data: string;
          /** @description What it is. */
          media_type: string;
          /** @enum {string} */
          type: "base64";
        }
      | {
          /** @description Its id. */
          artifact: components["schemas"]["ArtifactId"];
          /** @enum {string} */
          type: "artifact";
        };
    /** @description An identity provider of a tenant, whose tokens its users may come with. */
    Issuer: {
      /** @description How tokens may be signed. */
      algorithms: components["schemas"]["IssuerAlgorithm"][];
      /** @description What tokens have as `aud`, or among it. */
      audience: string;
      /** @description When it was made. */
      created_at: components["schemas"]["Timestamp"];
      /** @description Its id. */
      id: components["schemas"]["IssuerId"];
      /** @description What tokens have as `iss`. */
      issuer: string;
      /** @description Where its keys are; `null`: where `{issuer}/.well-known/openid-configuration` says. */
      jwks_uri?: string | null;
      /** @description Always `issuer`. */
      object: string;
      /** @description What its users may do. */
      scopes: string[];
      /** @description When it was last changed. */
      updated_at: components["schemas"]["Timestamp"];
      /** @description The claim that is the user's `external_id`. */
      user_claim: string;
    };
    /**
     * @description How a token of an issuer may be signed. Only with keys that have a public half: a secret that both sides know proves nothing to anybody else.
     * @enum {string}
     */
    IssuerAlgorithm: "ES256" | "ES384" | "RS256" | "RS384" | "RS512" | "PS256" | "PS384" | "PS512" | "EdDSA";
    IssuerId: string;
    /** @description An issuer to be; and, with what it holds changed, as it is to be. */
    IssuerParams: {
      /** @description 1 to 9; `["RS256", "ES256"]` unless given. */
      algorithms?: components["schemas"]["IssuerAlgorithm"][] | null;
      /** @description What tokens have as `aud`: at most 256 characters. */
      audience: string;
      /** @description What tokens have as `iss`: a URL of at most 512 characters, exactly as it stands there. */
      issuer: string;
      /** @description Where its keys are; `null`: OpenID Connect Discovery. */
      jwks_uri?: string | null;
      /** @description Of those that user tokens may have; `null` is all of them. */
      scopes?: string[] | null;
      /** @description `sub` unless given; at most 64 characters. */
      user_claim?: string | null;
    };
    /** @description An issuer to be; and, with what it holds changed, as it is to be. */
    IssuerParamsPatch: {
      /** @description 1 to 9; `["RS256", "ES256"]` unless given. */
      algorithms?: components["schemas"]["IssuerAlgorithm"][] | null;
      /** @description What tokens have as `aud`: at most 256 characters. */
      audience?: string;
      /** @description What tokens have as `iss`: a URL of at most 512 characters, exactly as it stands there. */
      issuer?: string;
      /** @description Where its keys are; `null`: OpenID Connect Discovery. */
      jwks_uri?: string | null;
      /** @description Of those that user tokens may have; `null` is all of them. */
      scopes?: string[] | null;
      /** @description `sub` unless given; at most 64 characters. */
      user_claim?: string | null;
    };
    KeyId: string;
    /** @description A new key. */
    KeyParams: {
      expires_at?: components["schemas"]["Timestamp"] | null;
      /** @description 1 to 128 characters. */
      name: string;
      /** @description `["*"]` unless given. */
      scopes?: string[] | null;
    };
    /** @description What goes on at the providers, as this process sees it. */
    Limiter: {
      /** @description Limits in use, those with most waiting first; at most 100. */
      keys: components["schemas"]["LimiterKey"][];
      /** @description Always `limiter`. */
      object: string;
      /** @description The process. */
      replica: string;
    };
    /** @description Calls that share one limit: of models of one entry of the price table, with one key. */
    LimiterKey: {
      /** @description Whether it is asked at all. */
      breaker: components["schemas"]["BreakerState"];
      /**
       * Format: int64
       * @description Calls that have their place.
       */
      in_flight: number;
      /** @description `platform`, or the tenant whose own key it is. */
      key: string;
      /**
       * Format: int64
       * @description Calls that are let through at a time now; `null`: any number.
       */
      limit?: number | null;
      /** @description `PROVIDER/model-id`; `PROVIDER/*` for models of which nothing is known. */
      model: string;
      open_until?: components["schemas"]["Timestamp"] | null;
      /**
       * Format: int64
       * @description For how long nobody is let through, because the provider asked for it.
       */
      paused_ms: number;
      /** @description Who waits, those with most first; at most 100. */
      tenants: components["schemas"]["LimiterTenant"][];
      /**
       * Format: int64
       * @description Calls that wait for one.
       */
      waiting: number;
    };
    /** @description Who waits for a provider. */
    LimiterTenant: {
      /** @description The tenant. */
      tenant: components["schemas"]["TenantId"];
      /**
       * Format: int64
       * @description Calls that wait.
       */
      waiting: number;
      /**
       * Format: int32
       * @description Its share beside others', by its plan.
       */
      weight: number;
    };
    /** @description Bounds of a run. */
    Limits: {
      /**
       * Format: int32
       * @description 1 to 20.
       * @default 5
       */
      max_attempts?: number;
      /**
       * Format: int64
       * @description 1 000 to 86 400 000: active time, not suspension.
       * @default 600000
       */
      max_duration_ms?: number;
      /**
       * Format: int32
       * @description What the context may hold; `null` = what the model's window leaves.
       * @default null
       */
      max_input_tokens?: number | null;
      /**
       * Format: int32
       * @description 1 to 64.
       * @default 8
       */
      max_parallel_tool_calls?: number;
      /**
       * Format: int64
       * @description 0 to 600 000: the longest wait for a model permit.
       * @default 60000
       */
      max_queue_ms?: number;
      /**
       * Format: int32
       * @description 1 to 256. The last permitted step is sent without tools.
       * @default 16
       */
      max_steps?: number;
      /**
       * Format: int32
       * @description 0 to 4096.
       * @default 64
       */
      max_tool_calls?: number;
      /**
       * Format: int64
       * @description 1 024 to 262 144.
       * @default 65536
       */
      max_tool_result_bytes?: number;
    };
    /** @description How a server is called. `secret` names an entry of `/v1/secrets`. */
    McpAuth:
      | {
          /** @enum {string} */
          type: "none";
        }
      | {
          /** @description The token. */
          secret: string;
          /** @enum {string} */
          type: "bearer";
        }
      | {
          /** @description Its name. */
          name: string;
          /** @description Its value. */
          secret: string;
          /** @enum {string} */
          type: "header";
        }
      | {
          /** @description Who asks. */
          client_id: string;
          /** @description What for. */
          scope?: string | null;
          /** @description The client's secret. */
          secret: string;
          /** @description Where tokens are given out. */
          token_url: string;
          /** @enum {string} */
          type: "oauth_client_credentials";
        };
    /** @description What is different about one tool of an MCP server. What is absent or `null` is as for all of them. */
    McpOverride: {
      /**
       * @description Arguments that are always these: the model neither sees nor sets them.
       * @default null
       */
      defaults?: {
        [key: string]: unknown;
      } | null;
      /** @default null */
      effect?: components["schemas"]["Effect"] | null;
      /** @default null */
      policy?: components["schemas"]["Policy"] | null;
      /**
       * @description What its arguments change about that.
       * @default null
       */
      policy_rules?: components["schemas"]["PolicyRule"][] | null;
      /**
       * @description What the model calls it: `[a-zA-Z0-9_-]{1,64}`.
       * @default null
       */
      rename?: string | null;
      /**
       * Format: int64
       * @description For the whole call.
       * @default null
       */
      timeout_ms?: number | null;
    };
    /** @description An MCP server. */
    McpServer: {
      /** @description How it is called. */
      auth: components["schemas"]["McpAuth"];
      /** @description When it was made. */
      created_at: components["schemas"]["Timestamp"];
      error?: components["schemas"]["Problem"] | null;
      /** @description Its id. */
      id: components["schemas"]["McpServerId"];
      /** @description Unique in the tenant. */
      name: string;
      /** @description Always `mcp_server`. */
      object: string;
      /** @description The revision of the protocol that was agreed on. */
      protocol_version?: string | null;
      /** @description How it answered last. */
      status: components["schemas"]["McpStatus"];
      tools_fetched_at?: components["schemas"]["Timestamp"] | null;
      /** @description When it was last changed. */
      updated_at: components["schemas"]["Timestamp"];
      /** @description Its endpoint. */
      url: string;
    };
    McpServerId: string;
    /** @description An MCP server to be. */
    McpServerParams: {
      /** @description How it is called; `null` = without credentials. */
      auth?: components["schemas"]["McpAuth"];
      /** @description `[a-z0-9][a-z0-9_-]{0,63}`, unique in the tenant. */
      name: string;
      /** @description Its endpoint, over Streamable HTTP; at most 2048 bytes. */
      url: string;
    };
    /** @description What is to change. */
    McpServerUpdate: {
      /** @default null */
      auth?: components["schemas"]["McpAuth"] | null;
      /**
       * @description As in [`McpServerParams`].
       * @default null
       */
      name?: string | null;
      /**
       * @description As in [`McpServerParams`].
       * @default null
       */
      url?: string | null;
    };
    /**
     * @description How a server answered last.
     * @enum {string}
     */
    McpStatus: "unchecked" | "ok" | "unreachable" | "auth_failed";
    /** @description A tool as its server describes it. */
    McpTool: {
      /** @description What the server says of its effects: hints. */
      annotations: unknown;
      /** @description What it is for. */
      description?: string | null;
      /** @description What the server calls it. */
      name: string;
      /** @description JSON Schema of its arguments. */
      parameters: unknown;
      /** @description What they amount to. What counts is what the agent says. */
      suggested_effect: components["schemas"]["Effect"];
    };
    /** @description Tools of an MCP server. */
    McpTools: {
      /** @description Which of its tools, by the names it gives them; at most 128. `null` = all that it has. */
      allowed_tools?: string[] | null;
      /** @description What a second call would do. What the server says of that is a hint and changes nothing. */
      effect?: components["schemas"]["Effect"];
      /**
       * Format: int64
       * @description How much of an answer the model sees: 1 024 to 262 144; `null` = as `limits.max_tool_result_bytes`.
       */
      max_result_bytes?: number | null;
      /** @description What is different about single tools, by the names the server gives them; at most 128. */
      overrides?: {
        [key: string]: components["schemas"]["McpOverride"];
      };
      /** @description Whether they are carried out. */
      policy?: components["schemas"]["Policy"];
      /** @description What their arguments change about that: the first rule that matches; at most 32. */
      policy_rules?: components["schemas"]["PolicyRule"][];
      /** @description The server's name, or its id. */
      server: string;
      /**
       * Format: int64
       * @description For each whole call: 100 to 600 000.
       */
      timeout_ms?: number;
    };
    /** @description Something that is remembered of a user. */
    MemoryEntry: {
      /** @description Under what. */
      key: string;
      /** @description Always `memory`. */
      object: string;
      /** @description When it was last changed. */
      updated_at: components["schemas"]["Timestamp"];
      /** @description What: any JSON of at most 16 KiB. */
      value: unknown;
    };
    /** @description What is to be remembered. */
    MemoryParams: {
      /** @description Any JSON of at most 16 KiB. */
      value: unknown;
    };
    /** @description A message of a thread. */
    Message: {
      agent?: components["schemas"]["AgentId"] | null;
      completed_at?: components["schemas"]["Timestamp"] | null;
      /** @description Its parts. */
      content: components["schemas"]["Part"][];
      /** @description When it was begun. */
      created_at: components["schemas"]["Timestamp"];
      /** @description Its id. */
      id: components["schemas"]["MessageId"];
      /** @description The tenant's own pairs. */
      metadata: components["schemas"]["BTreeMap"];
      /** @description Always `message`. */
      object: string;
      /** @description Who speaks. */
      role: components["schemas"]["Role"];
      run?: components["schemas"]["RunId"] | null;
      /** @description How far it is. */
      status: components["schemas"]["MessageStatus"];
      /**
       * Format: int32
       * @description The step of the run that made it.
       */
      step?: number | null;
      /** @description The thread it belongs to. */
      thread: components["schemas"]["ThreadId"];
    };
    MessageId: string;
    /** @description A message of the past, imported without a run. */
    MessageParams: {
      /** @description A string or parts. */
      content: components["schemas"]["Content"];
      /** @description Own pairs. */
      metadata?: components["schemas"]["BTreeMap"];
      /** @description `user`, or `assistant` with a tenant key. */
      role: components["schemas"]["Role"];
    };
    /**
     * @description How far a message is.
     * @enum {string}
     */
    MessageStatus: "in_progress" | "completed" | "incomplete";
    /**
     * @description How an endpoint is called.
     * @enum {string}
     */
    Method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
    /** @description A model that agents can use. */
    Model: {
      /**
       * Format: int32
       * @description Tokens that fit, if known.
       */
      context_window?: number | null;
      /** @description `PROVIDER/model-id`. */
      id: string;
      /** @description `text`, `image`. */
      input_modalities: string[];
      /** @description Whose key is used: `platform` or `tenant`. */
      key: string;
      /**
       * Format: int32
       * @description Tokens it can answer, if known.
       */
      max_output_tokens?: number | null;
      /** @description Always `model`. */
      object: string;
      price?: components["schemas"]["ModelPrice"] | null;
      /** @description The provider's name in the configuration. */
      provider: string;
    };
    ModelCallId: string;
    /** @description Prices per token, in pico-dollars (10⁻¹² USD). */
    ModelPrice: {
      /**
       * Format: int64
       * @description A token written to the provider's cache; `null` = as `input`.
       */
      cache_write_pico_usd?: number | null;
      /**
       * Format: int64
       * @description A token read from the provider's cache; `null` = as `input`.
       */
      cached_input_pico_usd?: number | null;
      /**
       * Format: int64
       * @description A token that goes in.
       */
      input_pico_usd: number;
      /**
       * Format: int64
       * @description A token that comes out.
       */
      output_pico_usd: number;
    };
    /** @description 10⁻⁹ USD, and the same as an exact decimal. Requests give exactly one of the two. */
    Money: {
      nano_usd?: number | null;
      usd?: string;
    };
    /**
     * @description What happens to a run whose budget is used up.
     * @enum {string}
     */
    OnBudget: "suspend" | "fail";
    /**
     * @description What a new run does while another one of its thread is not terminal.
     * @enum {string}
     */
    OnConflict: "reject" | "enqueue" | "interrupt" | "rollback" | "steer";
    /**
     * @description What happens when the last reader has gone.
     * @enum {string}
     */
    OnDisconnect: "continue" | "cancel" | "grace";
    /**
     * @description What happens when nobody decided.
     * @enum {string}
     */
    OnExpiry: "deny" | "cancel";
    /**
     * @description What becomes of times at which nobody was awake.
     * @enum {string}
     */
    OnMissed: "run_once" | "skip" | "run_all";
    /**
     * @description How an argument is compared.
     * @enum {string}
     */
    Op: "eq" | "ne" | "gt" | "gte" | "lt" | "lte" | "in" | "not_in" | "exists" | "absent" | "starts_with";
    /**
     * @description A setting that user tokens may be allowed to set on a run.
     * @enum {string}
     */
    OverrideField:
      | "model"
      | "fallbacks"
      | "instructions"
      | "temperature"
      | "top_p"
      | "max_output_tokens"
      | "stop"
      | "seed"
      | "reasoning_effort"
      | "response_format"
      | "limits"
      | "run_budget"
      | "priority"
      | "tools"
      | "tool_choice";
    /** @description A piece of a message. */
    Part:
      | {
          /** @description At most 256 KiB. */
          text: string;
          /** @enum {string} */
          type: "text";
        }
      | {
          /** @description How closely the model looks at it. */
          detail?: components["schemas"]["Detail"];
          /** @description Where it is. */
          source: components["schemas"]["Source"];
          /** @enum {string} */
          type: "image";
        }
      | {
          /** @description What to call it. */
          filename?: string | null;
          /** @description Where it is. */
          source: components["schemas"]["Source"];
          /** @enum {string} */
          type: "file";
        }
      | {
          /** @description The text. */
          text: string;
          /** @enum {string} */
          type: "reasoning";
        }
      | {
          /** @description Parsed arguments; `null` where the reader may not see them. */
          args?: unknown;
          /** @description The call. */
          call: components["schemas"]["CallId"];
          /** @description The tool. */
          name: string;
          /** @enum {string} */
          type: "tool_call";
        }
      | {
          artifact?: components["schemas"]["ArtifactId"] | null;
          /** @description The call it answers. */
          call: components["schemas"]["CallId"];
          /** @description Of a call that a person has denied: why, if that was said. */
          comment?: string | null;
          error?: components["schemas"]["Problem"] | null;
          /** @description The tool. */
          name: string;
          /** @description Any JSON. */
          output?: unknown;
          /** @description `completed`, `failed` or `denied`. */
          status: string;
          /** @enum {string} */
          type: "tool_result";
        };
    /** @description Something a suspended run waits for. */
    Pending: {
      approval?: components["schemas"]["ApprovalId"] | null;
      budget?: components["schemas"]["BudgetId"] | null;
      call?: components["schemas"]["CallId"] | null;
      run?: components["schemas"]["RunId"] | null;
      /** @description `approval`, `input`, `sub_run` or `budget`. */
      type: string;
    };
    /** @description A plan. */
    Plan: components["schemas"]["PlanTerms"] & {
      /** @description When it was made. */
      created_at: components["schemas"]["Timestamp"];
      /** @description Its name. */
      name: string;
      /** @description Always `plan`. */
      object: string;
      /** @description When it was changed last. */
      updated_at: components["schemas"]["Timestamp"];
    };
    /** @description What a plan grants. `null` is the server's own setting. */
    PlanTerms: {
      /**
       * @description Models that may be called: `PROVIDER/model-id`, or `PROVIDER/*`. `null`: all.
       * @default null
       */
      allowed_models?: string[] | null;
      /**
       * @description Budgets that every tenant of the plan has: of the whole tenant, or of each of its users.
       * @default []
       */
      budgets?: components["schemas"]["BudgetParams"][];
      /**
       * Format: int32
       * @description Runs under way.
       * @default null
       */
      max_active_runs?: number | null;
      /**
       * Format: int32
       * @description Open streams.
       * @default null
       */
      max_open_streams?: number | null;
      /**
       * Format: int32
       * @description Runs that wait for a place.
       * @default null
       */
      max_queued_runs?: number | null;
      /**
       * Format: int32
       * @description Runs that are suspended, for whatever they wait: with so many no new one is accepted.
       * @default null
       */
      max_suspended_runs?: number | null;
      /**
       * Format: int32
       * @description Requests per minute, of all keys and users together.
       * @default null
       */
      requests_per_minute?: number | null;
      /**
       * Format: int64
       * @description The longest that a run's deltas are kept after its end, whatever the tenant has set.
       * @default null
       */
      retention_ms?: number | null;
      /**
       * Format: int32
       * @description A tenant's share where tenants wait for the same model, beside others' weights: 1 to 1000, 1 if not given.
       * @default 1
       */
      weight?: number;
    };
    /**
     * @description What is done about a call.
     * @enum {string}
     */
    Policy: "auto" | "ask" | "deny";
    /** @description A rule: the first one of a tool that matches says what is done. */
    PolicyRule: {
      /** @description Then this is done. */
      then: components["schemas"]["Policy"];
      /** @description All must hold; none at all always do. */
      when: components["schemas"]["Condition"][];
    };
    /** @description Who is calling. */
    Principal: {
      expires_at?: components["schemas"]["Timestamp"] | null;
      key?: components["schemas"]["KeyId"] | null;
      /** @description `tenant` (a key alone) or `user`. */
      kind: string;
      /** @description Always `principal`. */
      object: string;
      /** @description What it may do. */
      scopes: string[];
      /** @description The tenant. */
      tenant: components["schemas"]["TenantId"];
      user?: components["schemas"]["UserId"] | null;
    };
    /**
     * @description Which runs go first.
     * @enum {string}
     */
    Priority: "interactive" | "background";
    /** @description The body of every error: `application/problem+json`, and `error` in runs, tool results and events. */
    Problem: {
      /** @description The stable name. */
      code: components["schemas"]["ErrorCode"];
      /** @description What happened here. `null` for readers who may not see a provider's or server's own words. */
      detail?: string | null;
      /** @description Each field that is wrong; empty where there is no list. */
      errors: components["schemas"]["FieldError"][];
      /** @description Who has to act. */
      fault: components["schemas"]["Fault"];
      request_id?: components["schemas"]["RequestId"] | null;
      /** @description Whether the same request may succeed later, unchanged. */
      retryable: boolean;
      /**
       * Format: int32
       * @description HTTP status.
       */
      status: number;
      /** @description The code in words. */
      title: string;
      /** @description Where the code is explained. */
      type: string;
    };
    /** @description A tenant's own key at a model provider: used instead of the platform's. Its value is never shown. */
    ProviderKey: {
      /** @description Always `provider_key`. */
      object: string;
      /** @description The provider, as it stands in `PROVIDER/model-id`. */
      provider: string;
      /** @description When it was set last. */
      updated_at: components["schemas"]["Timestamp"];
    };
    /** @description A key to keep. */
    ProviderKeyParams: {
      /** @description 1 to 1024 visible ASCII characters; never shown again. */
      key: string;
    };
    /**
     * @description Whether a process is awake.
     * @enum {string}
     */
    QuietState: "awake" | "quiet";
    /** @description Whether a process is quiet, and why not. Asking does not wake it, but an answer is a packet. */
    QuietStatus: {
      /** @description What is under way. */
      busy: components["schemas"]["BusyWith"][];
      /** @description Whether it goes quiet at all. */
      enabled: boolean;
      /**
       * Format: int64
       * @description How long the database was not needed.
       */
      idle_ms: number;
      /** @description Always `quiet`. */
      object: string;
      /**
       * Format: int64
       * @description After so long it goes quiet, if nothing is under way or due.
       */
      quiet_after_ms: number;
      /** @description The process. */
      replica: string;
      /** @description Whether it is. */
      state: components["schemas"]["QuietState"];
      /**
       * Format: int64
       * @description How often it has woken.
       */
      wakes: number;
    };
    /**
     * @description How much a model should think.
     * @enum {string}
     */
    ReasoningEffort: "none" | "low" | "medium" | "high";
    /**
     * @description For what a decision holds.
     * @enum {string}
     */
    Remember: "call" | "thread";
    RequestId: string;
    /** @description What the answer has to look like. */
    ResponseFormat:
      | {
          /** @enum {string} */
          type: "text";
        }
      | {
          /** @description For the model: `[a-zA-Z0-9_-]{1,64}`. */
          name: string;
          /** @description JSON Schema; at most 64 KiB. */
          schema: unknown;
          /** @description Whether the provider is to hold the model to it, where it can. */
          strict?: boolean;
          /** @enum {string} */
          type: "json_schema";
        };
    /** @description How a run goes on that waits for money. With neither it tries again. */
    ResumeParams: {
      /**
       * @description Another model, from here on.
       * @default null
       */
      model?: string | null;
      /** @default null */
      run_budget?: components["schemas"]["RunBudget"] | null;
    };
    /**
     * @description Who speaks in a message.
     * @enum {string}
     */
    Role: "user" | "assistant" | "tool";
    /** @description One execution of an agent on a thread. */
    Run: {
      after_run?: components["schemas"]["RunId"] | null;
      /** @description The agent. */
      agent: components["schemas"]["AgentId"];
      /**
       * Format: int32
       * @description The version of its configuration.
       */
      agent_version: number;
      /**
       * Format: int64
       * @description The last event of its log when this was read.
       */
      as_of_seq: number;
      /**
       * Format: int32
       * @description How many owners it has had.
       */
      attempt: number;
      cancel_requested_at?: components["schemas"]["Timestamp"] | null;
      cost?: components["schemas"]["Money"] | null;
      /** @description Whether some call's usage was proven only in part. */
      cost_estimated: boolean;
      /** @description When it was accepted. */
      created_at: components["schemas"]["Timestamp"];
      error?: components["schemas"]["Problem"] | null;
      /** @description Where its events are. */
      events_url: string;
      /** @description The tenant's own id for it. */
      external_id?: string | null;
      finished_at?: components["schemas"]["Timestamp"] | null;
      /** @description Its id. */
      id: components["schemas"]["RunId"];
      /** @description What it was asked. */
      input_messages: components["schemas"]["MessageId"][];
      /** @description The tenant's own pairs. */
      metadata: components["schemas"]["BTreeMap"];
      /** @description The model it was told to use. */
      model: string;
      /** @description Always `run`. */
      object: string;
      /** @description What it did on a busy thread. */
      on_conflict: components["schemas"]["OnConflict"];
      /** @description What happens when the last reader has gone. */
      on_disconnect: components["schemas"]["OnDisconnect"];
      /** @description Which runs go first. */
      priority: components["schemas"]["Priority"];
      result?: components["schemas"]["RunResult"] | null;
      run_at?: components["schemas"]["Timestamp"] | null;
      /** @description What made it. */
      source: components["schemas"]["RunSource"];
      started_at?: components["schemas"]["Timestamp"] | null;
      /** @description Where it stands. */
      status: components["schemas"]["RunStatus"];
      /**
       * Format: int32
       * @description Model calls that completed a step.
       */
      steps: number;
      suspended_at?: components["schemas"]["Timestamp"] | null;
      /** @description The thread it writes to. */
      thread: components["schemas"]["ThreadId"];
      /** @description Tokens so far. */
      usage: components["schemas"]["Usage"];
      /** @description Whose it is. */
      user: components["schemas"]["UserId"];
    };
    /** @description A limit on the money of one run. */
    RunBudget: {
      /** @description Hard. */
      limit: components["schemas"]["Money"];
    };
    /** @description What a run waits for and what was spent on it, from the records that also stop and bill it. */
    RunExplanation: {
      /** @description Budgets that cover its calls, hard and soft. Users are told of none. */
      budgets: components["schemas"]["BudgetId"][];
      /**
       * @description Its settled model calls in their order, at most the last 1000. Runs of other agents that carry out its tool calls have
       *     explanations of their own.
       */
      calls: components["schemas"]["ExplainedCall"][];
      cost?: components["schemas"]["Money"] | null;
      /** @description Always `run.explanation`. */
      object: string;
      /** @description The run. */
      run: components["schemas"]["RunId"];
      /** @description The run's usage, runs that carry out its calls included. */
      usage: components["schemas"]["Usage"];
      waiting?: components["schemas"]["Waiting"] | null;
    };
    RunId: string;
    /** @description Asks an agent something. */
    RunParams: {
      /** @description Id or name. */
      agent: string;
      /**
       * Format: int32
       * @description A version other than the active one.
       */
      agent_version?: number | null;
      /**
       * Format: int64
       * @description For `grace`.
       */
      disconnect_grace_ms?: number | null;
      /** @description The tenant's own id for the run. */
      external_id?: string | null;
      fallbacks?: components["schemas"]["Fallback"][] | null;
      /** @description A string or parts. */
      input: components["schemas"]["Content"];
      instructions?: string | null;
      limits?: components["schemas"]["Limits"] | null;
      /** Format: int32 */
      max_output_tokens?: number | null;
      metadata?: components["schemas"]["BTreeMap"] | null;
      model?: string | null;
      on_budget?: components["schemas"]["OnBudget"] | null;
      on_conflict?: components["schemas"]["OnConflict"] | null;
      on_disconnect?: components["schemas"]["OnDisconnect"] | null;
      priority?: components["schemas"]["Priority"] | null;
      reasoning_effort?: components["schemas"]["ReasoningEffort"] | null;
      response_format?: components["schemas"]["ResponseFormat"] | null;
      run_at?: components["schemas"]["Timestamp"] | null;
      run_budget?: components["schemas"]["RunBudget"] | null;
      /** Format: int64 */
      seed?: number | null;
      stop?: string[] | null;
      /** Format: double */
      temperature?: number | null;
      thread?: components["schemas"]["InlineThread"] | null;
      tool_choice?: components["schemas"]["ToolChoice"] | null;
      /** @description Tools that whoever asks carries out (`type: client`), for this run, beside the agent's own. */
      tools?: components["schemas"]["Tool"][] | null;
      /** Format: double */
      top_p?: number | null;
    };
    /** @description What a completed run came to. */
    RunResult: {
      /** @description Why it ended. */
      finish_reason: components["schemas"]["FinishReason"];
      /** @description The parsed answer, where the agent's `response_format` asks for JSON. */
      json?: unknown;
      /** @description The message that holds the answer. */
      message: components["schemas"]["MessageId"];
      /** @description Its text. */
      text: string;
    };
    /** @description A run with its messages, exactly as of `as_of_seq`. */
    RunSnapshot: components["schemas"]["Run"] & {
      /** @description Its messages, partial text included. */
      messages: components["schemas"]["Message"][];
      /** @description What it waits for. */
      pending: components["schemas"]["Pending"][];
    };
    /** @description What made a run. */
    RunSource: {
      call?: components["schemas"]["CallId"] | null;
      /** @description The run or the schedule that made it. */
      id?: string | null;
      /** @description `api`; `run`: it carries out a call of another run; or `schedule`. */
      type: string;
    };
    /**
     * @description Where a run stands.
     * @enum {string}
     */
    RunStatus: "queued" | "running" | "suspended" | "completed" | "failed" | "cancelled";
    /** @description A schedule. */
    Schedule: {
      /** @description Which agent runs, in the version that is active then. */
      agent: components["schemas"]["AgentId"];
      /** @description When it was made. */
      created_at: components["schemas"]["Timestamp"];
      /** @description When: minute, hour, day of the month, month, day of the week. */
      cron: string;
      /** @description Whether it makes runs. */
      enabled: boolean;
      /** @description Its id. */
      id: components["schemas"]["ScheduleId"];
      /** @description What is said. */
      input: components["schemas"]["Content"];
      last_error?: components["schemas"]["Problem"] | null;
      last_run?: components["schemas"]["RunId"] | null;
      /** @description Own pairs, which its runs get too. */
      metadata: components["schemas"]["BTreeMap"];
      /** @description For people. */
      name: string;
      next_run_at?: components["schemas"]["Timestamp"] | null;
      /** @description Always `schedule`. */
      object: string;
      /** @description What becomes of times at which nobody was awake. */
      on_missed: components["schemas"]["OnMissed"];
      thread?: components["schemas"]["ThreadId"] | null;
      /** @description In which time zone, by its IANA name. */
      timezone: string;
      /** @description When it was last changed by somebody. */
      updated_at: components["schemas"]["Timestamp"];
      /** @description Whose runs it makes. */
      user: components["schemas"]["UserId"];
    };
    ScheduleId: string;
    /** @description A schedule to be. */
    ScheduleParams: {
      /** @description The agent, by id or name. */
      agent: string;
      /** @description Five fields: minute, hour, day of the month, month, day of the week. */
      cron: string;
      /** @description `true` unless given. */
      enabled?: boolean | null;
      /** @description What is said: text, or parts that are text. */
      input: components["schemas"]["Content"];
      metadata?: components["schemas"]["BTreeMap"] | null;
      /** @description For people: 1 to 128 characters. */
      name: string;
      on_missed?: components["schemas"]["OnMissed"] | null;
      thread?: components["schemas"]["ThreadId"] | null;
      /**
       * @description An IANA name such as `Europe/Berlin`; `UTC` unless given. Where its clocks change, a time that is left out comes as late as
       *     it would have been, and one that comes twice is met once, or twice if the hour is `*`.
       */
      timezone?: string | null;
    };
    /** @description A change of a schedule: what is absent stays. */
    ScheduleUpdate: {
      /**
       * @description The agent, by id or name.
       * @default null
       */
      agent?: string | null;
      /**
       * @description When.
       * @default null
       */
      cron?: string | null;
      /**
       * @description Whether it makes runs.
       * @default null
       */
      enabled?: boolean | null;
      /** @default null */
      input?: components["schemas"]["Content"] | null;
      /** @default null */
      metadata?: components["schemas"]["BTreeMap"] | null;
      /**
       * @description For people: 1 to 128 characters.
       * @default null
       */
      name?: string | null;
      /** @default null */
      on_missed?: components["schemas"]["OnMissed"] | null;
      /**
       * @description In which thread; `null` = a new one each time.
       * @default null
       */
      thread?: string | null;
      /**
       * @description In which time zone.
       * @default null
       */
      timezone?: string | null;
    };
    /** @description A secret, without what is secret. */
    Secret: {
      /** @description The only hosts that it is sent to; `null`: those of the tools that name it. */
      hosts?: string[] | null;
      /** @description What templates call it. */
      name: string;
      /** @description Always `secret`. */
      object: string;
      /** @description When it was last changed. */
      updated_at: components["schemas"]["Timestamp"];
    };
    /** @description A secret to keep. */
    SecretParams: {
      /** @description The only hosts that it is sent to, such as `shop.test`; at most 16. `null`: those of the tools that name it. */
      hosts?: string[] | null;
      /** @description 1 to 16384 bytes; never shown again. */
      value: string;
    };
    /** @description Where a picture or a file of a message is: whatever it was sent as, an artifact. */
    Source: {
      /** @description Its id. */
      artifact: components["schemas"]["ArtifactId"];
      /** @description What it is. */
      media_type: string;
      /**
       * Format: int64
       * @description How large it is.
       */
      size_bytes: number;
      /** @enum {string} */
      type: "artifact";
    };
    /** @description A tenant. */
    Tenant: {
      /** @description Origins whose pages may call the API (CORS). */
      allowed_origins: string[];
      /** @description When it was made. */
      created_at: components["schemas"]["Timestamp"];
      /** @description Its id. */
      id: components["schemas"]["TenantId"];
      /** @description The operator's and tenant's own pairs. */
      metadata: components["schemas"]["BTreeMap"];
      /** @description Its name. */
      name: string;
      /** @description Always `tenant`. */
      object: string;
      /** @description The plan it is on. */
      plan: string;
      /**
       * Format: int64
       * @description How long a run's deltas are kept after its terminal event.
       */
      retention_ms: number;
      /** @description Whether it may act. */
      status: components["schemas"]["TenantStatus"];
      /** @description When it was last changed. */
      updated_at: components["schemas"]["Timestamp"];
    };
    TenantId: string;
    /** @description What a tenant pays otherwise than the table of prices says. */
    TenantPrices: {
      /**
       * Format: int32
       * @description What is added to the table's prices, in millionths: 200000 is a fifth. Not to calls with the tenant's own key.
       * @default 0
       */
      markup_ppm?: number;
      /**
       * @description Prices that were agreed upon, by `PROVIDER/model-id`: final, without the mark-up, however much goes in.
       * @default {}
       */
      models?: {
        [key: string]: components["schemas"]["ModelPrice"];
      };
    };
    /** @description What may be set on a tenant by itself; the operator may also set `status` and `plan`. */
    TenantSettings: {
      /** @description Origins such as `https://app.acme.test`; at most 32. */
      allowed_origins?: string[];
      /** @description Own pairs. */
      metadata?: components["schemas"]["BTreeMap"];
      /** @description 1 to 128 characters. */
      name: string;
      /** @description Operator only: the plan's name. */
      plan?: string;
      /**
       * Format: int64
       * @description 60 000 to 31 536 000 000 (a year); a day unless given.
       */
      retention_ms?: number;
      /** @description Operator only: `active` or `suspended`. */
      status?: components["schemas"]["TenantStatus"];
    };
    /** @description What may be set on a tenant by itself; the operator may also set `status` and `plan`. */
    TenantSettingsPatch: {
      /** @description Origins such as `https://app.acme.test`; at most 32. */
      allowed_origins?: string[];
      /** @description Own pairs. */
      metadata?: components["schemas"]["BTreeMap"];
      /** @description 1 to 128 characters. */
      name?: string;
      /** @description Operator only: the plan's name. */
      plan?: string;
      /**
       * Format: int64
       * @description 60 000 to 31 536 000 000 (a year); a day unless given.
       */
      retention_ms?: number;
      /** @description Operator only: `active` or `suspended`. */
      status?: components["schemas"]["TenantStatus"];
    };
    /**
     * @description Whether a tenant may act.
     * @enum {string}
     */
    TenantStatus: "active" | "suspended";
    /** @description A line of messages between one user and agents. */
    Thread: {
      active_run?: components["schemas"]["RunId"] | null;
      /** @description When it was made. */
      created_at: components["schemas"]["Timestamp"];
      /** @description The tenant's own id for it. */
      external_id?: string | null;
      /** @description Its id. */
      id: components["schemas"]["ThreadId"];
      /** @description The tenant's own pairs. */
      metadata: components["schemas"]["BTreeMap"];
      /** @description Always `thread`. */
      object: string;
      parent_run?: components["schemas"]["RunId"] | null;
      /** @description What happens on it. */
      status: components["schemas"]["ThreadStatus"];
      /** @description A title. */
      title?: string | null;
      /** @description When it was last changed. */
      updated_at: components["schemas"]["Timestamp"];
      /** @description Whose it is. */
      user: components["schemas"]["UserId"];
    };
    ThreadId: string;
    /** @description What may be set on a thread. */
    ThreadSettings: {
      /**
       * @description The tenant's own id for it, unique per user.
       * @default null
       */
      external_id?: string | null;
      /**
       * @description Own pairs.
       * @default {}
       */
      metadata?: components["schemas"]["BTreeMap"];
      /**
       * @description 1 to 256 characters.
       * @default null
       */
      title?: string | null;
    };
    /**
     * @description What happens on a thread.
     * @enum {string}
     */
    ThreadStatus: "idle" | "busy" | "suspended";
    /** @description A key to one run's events, for browsers' `EventSource`. */
    Ticket: {
      /** @description The events' URL, ticket included. */
      events_url: string;
      /** @description First use must be before then. */
      expires_at: components["schemas"]["Timestamp"];
      /** @description Always `ticket`. */
      object: string;
      /** @description The run. */
      run: components["schemas"]["RunId"];
      /** @description `hw_rt_…`. */
      ticket: string;
    };
    /** @description How long the phases of a model call may take. */
    Timeouts: {
      /**
       * Format: int64
       * @description Until the connection stands.
       * @default 5000
       */
      connect_ms?: number;
      /**
       * Format: int64
       * @description Until the first token.
       * @default 60000
       */
      first_token_ms?: number;
      /**
       * Format: int64
       * @description Until the status line.
       * @default 30000
       */
      headers_ms?: number;
      /**
       * Format: int64
       * @description Between events.
       * @default 60000
       */
      idle_ms?: number;
      /**
       * Format: int64
       * @description In all.
       * @default 600000
       */
      total_ms?: number;
    };
    /** Format: date-time */
    Timestamp: string;
    /** @description A tool. */
    Tool:
      | (components["schemas"]["ClientTool"] & {
          /** @enum {string} */
          type: "client";
        })
      | (components["schemas"]["HttpTool"] & {
          /** @enum {string} */
          type: "http";
        })
      | (components["schemas"]["McpTools"] & {
          /** @enum {string} */
          type: "mcp";
        })
      | (components["schemas"]["AgentTool"] & {
          /** @enum {string} */
          type: "agent";
        })
      | (components["schemas"]["BuiltinTool"] & {
          /** @enum {string} */
          type: "builtin";
        });
    /**
     * @description Whether the model calls tools.
     * @enum {string}
     */
    ToolChoice: "auto" | "none" | "required";
    /** @description What the tenant's application answers to a call. */
    ToolOutput: {
      /** @description The call. */
      call: components["schemas"]["CallId"];
      /** @description What went wrong, in words for the model; at most 4096 characters. */
      error?: string | null;
      /** @description Any JSON of at most 128 KiB; `null` with `error`. */
      output?: unknown;
    };
    /** @description Answers to several calls of one run. */
    ToolOutputs: {
      /** @description 1 to 128; all of them are taken, or none. */
      tool_outputs: components["schemas"]["ToolOutput"][];
    };
    /**
     * @description What happens when the thread does not fit the model's window.
     * @enum {string}
     */
    Truncation: "auto" | "disabled";
    /**
     * @description Tokens of one or several model calls. Input **includes** cached and cache-write tokens, output includes reasoning,
     *     whatever the provider's own habit.
     */
    Usage: {
      /**
       * Format: int64
       * @description Those of them written to the provider's cache.
       */
      cache_write_tokens: number;
      /**
       * Format: int64
       * @description Those of them read from the provider's cache.
       */
      cached_input_tokens: number;
      /**
       * Format: int64
       * @description All tokens that went in.
       */
      input_tokens: number;
      /**
       * Format: int64
       * @description All tokens that came out.
       */
      output_tokens: number;
      /**
       * Format: int64
       * @description Those of them spent on reasoning.
       */
      reasoning_tokens: number;
      /**
       * Format: int64
       * @description Input and output.
       */
      total_tokens: number;
    };
    /** @description One line of the ledger. */
    UsageCall: {
      /** @description Whose call it was. */
      agent: components["schemas"]["AgentId"];
      cost?: components["schemas"]["Money"] | null;
      /** @description Whether the usage was proven only in part. */
      estimated: boolean;
      /** @description The model that answered. */
      model: string;
      /** @description The call. */
      model_call: components["schemas"]["ModelCallId"];
      /** @description Always `usage.call`. */
      object: string;
      /** @description Its run. */
      run: components["schemas"]["RunId"];
      schedule?: components["schemas"]["ScheduleId"] | null;
      /** @description When it was settled. */
      settled_at: components["schemas"]["Timestamp"];
      /**
       * Format: int32
       * @description Its step.
       */
      step: number;
      /** @description Its tokens. */
      usage: components["schemas"]["Usage"];
      /** @description Whose it was. */
      user: components["schemas"]["UserId"];
    };
    /** @description One line of `GET /v1/usage`. A dimension that is not grouped by is `null`. */
    UsageGroup: {
      agent?: components["schemas"]["AgentId"] | null;
      /**
       * Format: int64
       * @description Model calls.
       */
      calls: number;
      cost?: components["schemas"]["Money"] | null;
      /** @description A day in UTC. */
      day?: string | null;
      /**
       * Format: double
       * @description How far that was off; `null` where nothing was spent.
       */
      estimate_error_percent?: number | null;
      estimated_cost?: components["schemas"]["Money"] | null;
      /** @description A model. */
      model?: string | null;
      /**
       * Format: int64
       * @description Runs that made calls.
       */
      runs: number;
      /** @description Their tokens. */
      usage: components["schemas"]["Usage"];
      user?: components["schemas"]["UserId"] | null;
    };
    /** @description A tenant's end user. */
    User: {
      /** @description When it was made. */
      created_at: components["schemas"]["Timestamp"];
      /** @description The tenant's own id for it. */
      external_id?: string | null;
      /** @description Its id. */
      id: components["schemas"]["UserId"];
      /** @description The tenant's own pairs. */
      metadata: components["schemas"]["BTreeMap"];
      /** @description A display name. */
      name?: string | null;
      /** @description Always `user`. */
      object: string;
      /** @description Whether it may act. */
      status: components["schemas"]["UserStatus"];
      /** @description When it was last changed. */
      updated_at: components["schemas"]["Timestamp"];
    };
    UserId: string;
    /** @description What may be set on a user. */
    UserSettings: {
      /** @description The tenant's own id for it. */
      external_id?: string | null;
      /** @description Own pairs. */
      metadata?: components["schemas"]["BTreeMap"];
      /** @description 1 to 128 characters. */
      name?: string | null;
      /** @description `active` or `blocked`. */
      status?: components["schemas"]["UserStatus"];
    };
    /**
     * @description Whether a user may act.
     * @enum {string}
     */
    UserStatus: "active" | "blocked";
    /** @description A token of a user, valid for minutes. */
    UserToken: {
      /** @description The agents it may run; `null` is all. */
      agents?: string[] | null;
      /** @description When it stops working. */
      expires_at: components["schemas"]["Timestamp"];
      /** @description Always `user_token`. */
      object: string;
      /** @description What it may do. */
      scopes: string[];
      /** @description The JWT. */
      token: string;
      /** @description The user it acts as. */
      user: components["schemas"]["UserId"];
    };
    /** @description Asks for a token of a user. */
    UserTokenParams: {
      /** @description Names or ids of the agents it may run; all unless given. */
      agents?: string[] | null;
      /** @description What it may do; all that a user may unless given. */
      scopes?: string[] | null;
      /**
       * Format: int64
       * @description 60 000 to 3 600 000; 900 000 unless given.
       */
      ttl_ms?: number | null;
      /** @description `external_id` or `usr_…`; a new `external_id` makes the user. */
      user: string;
    };
    /** @description What a tenant lets its users see of an agent's runs. */
    Visibility: {
      /**
       * @description Money.
       * @default false
       */
      cost?: boolean;
      /**
       * @description The model's reasoning.
       * @default true
       */
      reasoning?: boolean;
      /**
       * @description Arguments of tool calls.
       * @default true
       */
      tool_args?: boolean;
      /**
       * @description Outputs of tool calls.
       * @default true
       */
      tool_output?: boolean;
    };
    /** @description What a run waits for. */
    Waiting: {
      /** @description The approval, tool call or run that it waits for. */
      blocked_by?: string | null;
      /**
       * Format: int64
       * @description For how much longer, in milliseconds, where that can be told.
       */
      predicted_ms?: number | null;
      /**
       * Format: int32
       * @description How many calls are before its own, this one counted, where it waits for its turn at a provider.
       */
      queue_pos?: number | null;
      /**
       * @description `concurrency`: its turn, in a process or among a provider's calls. `provider`: a pause that the provider asked for.
       *     `budget`: money that other calls have set aside, or, of a run that is suspended, more of it. `run_at`: its time.
       *     `thread_busy`: the thread's run before it. `approval`, `input`, `sub_run`: what `pending` of the run says.
       */
      reason: string;
      /** @description Since when. */
      since: components["schemas"]["Timestamp"];
    };
    /** @description That one endpoint is told of one event. */
    WebhookDelivery: {
      /**
       * Format: int32
       * @description How often it was sent.
       */
      attempts: number;
      /** @description When it was written down. */
      created_at: components["schemas"]["Timestamp"];
      /** @description What went wrong with the last attempt, or why there is no other. */
      error?: string | null;
      /** @description The event: the same at every endpoint, and when it is sent again. */
      event: components["schemas"]["EventId"];
      /** @description Its id. */
      id: components["schemas"]["DeliveryId"];
      next_attempt_at?: components["schemas"]["Timestamp"] | null;
      /** @description Always `webhook_delivery`. */
      object: string;
      /**
       * Format: int32
       * @description What the last attempt was answered.
       */
      response_status?: number | null;
      /** @description How far it is. */
      status: components["schemas"]["DeliveryStatus"];
      /** @description What has happened. */
      type: components["schemas"]["WebhookEventType"];
    };
    /** @description Where a tenant's own server is told of what happens. */
    WebhookEndpoint: {
      /** @description When it was made. */
      created_at: components["schemas"]["Timestamp"];
      /** @description For people. */
      description?: string | null;
      /** @description Of what it is told. */
      events: components["schemas"]["WebhookEventType"][];
      failing_since?: components["schemas"]["Timestamp"] | null;
      /** @description Its id. */
      id: components["schemas"]["WebhookEndpointId"];
      /** @description Own pairs. */
      metadata: components["schemas"]["BTreeMap"];
      /** @description Always `webhook_endpoint`. */
      object: string;
      /** @description What is signed with: `whsec_` and Base64. Shown when it is made, and `null` ever after. */
      secret?: string | null;
      /** @description Whether it is told anything. */
      status: components["schemas"]["WebhookStatus"];
      /** @description When it was last changed by somebody. */
      updated_at: components["schemas"]["Timestamp"];
      /** @description What is sent to, with `POST`. */
      url: string;
    };
    WebhookEndpointId: string;
    /** @description An endpoint to be. */
    WebhookEndpointParams: {
      /** @description For people: at most 512 characters. */
      description?: string | null;
      /** @description Of what it is told: one or more. The key needs to be allowed to read what comes with each. */
      events: components["schemas"]["WebhookEventType"][];
      metadata?: components["schemas"]["BTreeMap"] | null;
      /** @description `http` or `https`, and public; at most 2048 bytes. */
      url: string;
    };
    /** @description A change of an endpoint: what is absent stays. */
    WebhookEndpointUpdate: {
      /**
       * @description For people; `null` = none.
       * @default null
       */
      description?: string | null;
      /**
       * @description All of them.
       * @default null
       */
      events?: components["schemas"]["WebhookEventType"][] | null;
      /** @default null */
      metadata?: components["schemas"]["BTreeMap"] | null;
      /** @default null */
      status?: components["schemas"]["WebhookStatus"] | null;
      /**
       * @description As in [`WebhookEndpointParams`].
       * @default null
       */
      url?: string | null;
    };
    /**
     * @description What endpoints are told of.
     * @enum {string}
     */
    WebhookEventType:
      | "run.completed"
      | "run.failed"
      | "run.cancelled"
      | "run.suspended"
      | "approval.requested"
      | "approval.resolved"
      | "budget.warning"
      | "budget.exhausted"
      | "webhook.test";
    /**
     * @description Whether an endpoint is told anything.
     * @enum {string}
     */
    WebhookStatus: "enabled" | "disabled";
  };
  responses: never;
  parameters: never;
  requestBodies: never;
  headers: never;
  pathItems: never;
}
export type $defs = Record<string, never>;
export type operations = Record<string, never>;
