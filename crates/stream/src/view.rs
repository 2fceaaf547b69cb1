//! Runs and snapshots as each audience may see them.

use headwater_protocol::api::{Run, RunExplanation, RunSnapshot};
use headwater_protocol::event::{Audience, message_for_user, problem_for_user, result_for_user};
use headwater_store::scoped::Snapshot;

/// A run as `audience` may see it.
pub fn run_for(mut run: Run, audience: Audience) -> Run {
    let Audience::User(visible) = audience else { return run };
    if !visible.cost {
        run.cost = None;
    }
    run.error = run.error.map(problem_for_user);
    run.result = run.result.map(|result| result_for_user(result, visible));
    run
}

/// A snapshot as `audience` may see it.
pub fn snapshot_for(snapshot: Snapshot, audience: Audience) -> RunSnapshot {
    let messages = match audience {
        Audience::Tenant => snapshot.messages,
        Audience::User(visible) => {
            snapshot.messages.into_iter().map(|message| message_for_user(message, visible)).collect()
        }
    };
    RunSnapshot { run: run_for(snapshot.run, audience), messages, pending: snapshot.pending }
}

/// An explanation as `audience` may see it.
pub fn explanation_for(mut explanation: RunExplanation, audience: Audience) -> RunExplanation {
    let Audience::User(visible) = audience else { return explanation };
    explanation.budgets.clear();
    for call in &mut explanation.calls {
        call.error = call.error.take().map(problem_for_user);
    }
    if !visible.cost {
        explanation.cost = None;
        for call in &mut explanation.calls {
            (call.expected, call.reserve, call.cost) = (None, None, None);
        }
    }
    explanation
}
