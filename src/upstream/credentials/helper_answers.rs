//! What credential helpers said about a registry, so that they are not run for each request.
//!
//! An answer counts for an hour; tokens of clouds live for twelve. When a helper fails after that, the old answer is used
//! for as long as such a token may live. While the registry is offline none is run, since helpers use the network.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::time::Instant;

use super::LoginSecret;
use super::credential_helper::Helpers;
use super::server_name::ServerName;
use super::settings::HelperName;
use super::watched::Recency;
use crate::runtime::Tasks;
use crate::upstream::switch::{Mode, Switch};

/// The helpers that are asked for one registry, and for no other.
#[derive(Debug)]
pub(super) struct HelperAnswers {
    helpers: Helpers,
    server: ServerName,
    switch: Arc<Switch>,
    tasks: Tasks,
    memories: Mutex<HashMap<HelperName, Memory>>,
}

/// What a helper says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It knows no login.
    Nothing,
    /// This one.
    Login(LoginSecret),
    /// It failed; why, for people.
    Failed(Arc<str>),
}

/// What one helper said. Clones share it.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// What it said last, and when.
    answer: Option<(Option<LoginSecret>, Instant)>,
    /// How it failed after that, and when.
    failure: Option<(Arc<str>, Instant)>,
    /// It runs.
    run: Option<Run>,
}

/// Ends with the run of a helper.
type Run = Shared<BoxFuture<'static, ()>>;

impl HelperAnswers {
    /// So many helpers are remembered. An auth file names two at most for one registry, but it may change.
    const MAX: usize = 16;

    /// Knows nothing yet.
    pub(super) fn new(
        helpers: Helpers,
        server: ServerName,
        switch: Arc<Switch>,
        tasks: Tasks,
    ) -> Self {
        Self {
            helpers,
            server,
            switch,
            tasks,
            memories: Mutex::default(),
        }
    }

    /// Returns what a helper said last, without asking.
    pub(super) fn known(&self, name: &HelperName) -> Option<Answer> {
        self.memory(name).state().said(Instant::now())
    }

    /// Returns the user that a helper named last, however long ago.
    pub(super) fn user(&self, name: &HelperName) -> Option<Arc<str>> {
        let memory = self.memory(name);
        let state = memory.state();
        let (said, _) = state.answer.as_ref()?;
        said.as_ref()?.username().map(Arc::from)
    }

    /// Returns what a helper says. However many ask, it runs once; that goes on when they are gone. `Recency::Now` runs
    /// it again whatever is known. While the registry is offline it is not run, and what it said last is its answer.
    pub(super) async fn answer(&self, name: &HelperName, recency: Recency) -> Answer {
        let memory = self.memory(name);
        if self.switch.mode() == Mode::Offline {
            return memory.state().said_last();
        }
        let now = Instant::now();
        let run = {
            let mut state = memory.state();
            let known = state.said(now);
            let is_due = recency == Recency::Now || state.is_due(now);
            if is_due && state.run.is_none() {
                state.run = Some(self.run(name, &memory));
            }
            let waits = match recency {
                Recency::Known => known.is_none(),
                // Who failed last time does not keep anybody again, as long as there is an old answer.
                Recency::Recent => match known {
                    Some(Answer::Login(_) | Answer::Nothing) => state.failure.is_none(),
                    Some(Answer::Failed(_)) | None => true,
                },
                Recency::Now => true,
            };
            state.run.clone().filter(|_| waits)
        };
        if let Some(run) = run {
            run.await;
        }
        let said = memory.state().said(Instant::now());
        said.unwrap_or_else(|| {
            Answer::Failed("the credential helper was not run to its end".into())
        })
    }

    fn memory(&self, name: &HelperName) -> Memory {
        let mut memories = self.memories.lock().unwrap_or_else(PoisonError::into_inner);
        if !memories.contains_key(name) && memories.len() >= Self::MAX {
            memories.clear();
        }
        memories.entry(name.clone()).or_default().clone()
    }

    /// Runs a helper, and takes down what it says.
    fn run(&self, name: &HelperName, memory: &Memory) -> Run {
        let (name, memory) = (name.clone(), memory.clone());
        let (helpers, server, tasks) = (
            self.helpers.clone(),
            self.server.clone(),
            self.tasks.clone(),
        );
        let task = self.tasks.spawn("credential helper", async move {
            let stopping = tasks.stopping();
            let asking = helpers.ask(&name, &server, &tasks);
            match stopping.run_until_cancelled(asking).await {
                Some(result) => memory.learn(result, &server),
                None => memory.state().run = None,
            }
        });
        task.map(drop).boxed().shared()
    }
}

impl Memory {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes down how a run ended, and logs when that changes something.
    fn learn(&self, result: Result<Option<LoginSecret>, Arc<str>>, server: &ServerName) {
        let now = Instant::now();
        let mut state = self.state();
        state.run = None;
        match result {
            Ok(said) => {
                state.answer = Some((said, now));
                if state.failure.take().is_some() {
                    tracing::info!(upstream.name = %server, "a credential helper answers again");
                }
            }
            Err(problem) => {
                let failed_before = state.failure.replace((problem.clone(), now)).is_some();
                if !failed_before {
                    tracing::warn!(upstream.name = %server, problem = &*problem, "no login to be had from a credential helper");
                }
            }
        }
    }
}

impl State {
    /// For so long a login is taken for the current one.
    const LOGIN_COUNTS: Duration = Duration::from_secs(3600);
    /// For so long a helper that knows no login is not asked again: somebody may log in.
    const NOTHING_COUNTS: Duration = Duration::from_secs(300);
    /// For so long a helper that failed is left alone.
    const FAILURE_COUNTS: Duration = Duration::from_secs(10);
    /// For so long an old answer is better than none.
    const ANSWER_LASTS: Duration = Duration::from_secs(12 * 3600);

    /// Returns whether it is time to ask again.
    fn is_due(&self, now: Instant) -> bool {
        if let Some((_, at)) = &self.failure
            && now - *at < Self::FAILURE_COUNTS
        {
            return false;
        }
        match &self.answer {
            Some((Some(_), at)) => now - *at >= Self::LOGIN_COUNTS,
            Some((None, at)) => now - *at >= Self::NOTHING_COUNTS,
            None => true,
        }
    }

    /// Returns what was said last, however long ago.
    fn said_last(&self) -> Answer {
        match (&self.answer, &self.failure) {
            (Some((Some(secret), _)), _) => Answer::Login(secret.clone()),
            (Some((None, _)), _) => Answer::Nothing,
            (None, Some((problem, _))) => Answer::Failed(problem.clone()),
            (None, None) => Answer::Failed(
                "the credential helper is not run: larder is offline for its registry".into(),
            ),
        }
    }

    /// Returns what counts now.
    fn said(&self, now: Instant) -> Option<Answer> {
        match (&self.answer, &self.failure) {
            (Some((said, at)), _) if now - *at < Self::ANSWER_LASTS => Some(match said {
                Some(secret) => Answer::Login(secret.clone()),
                None => Answer::Nothing,
            }),
            (_, Some((problem, _))) => Some(Answer::Failed(problem.clone())),
            (_, None) => None,
        }
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}
