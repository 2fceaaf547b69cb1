//! What hosting costs a month: numbers in, dollars out. Nothing here is read or printed.

use super::prices::{Host, Tariff};

/// How many there are, and what they do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scenario {
    /// People.
    pub(super) users: f64,
    /// Agents that each of them has.
    pub(super) agents: f64,
}

/// What is assumed of a container for agents, as the study of November 2025 had it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Assumed {
    /// Part of the agents that are active at a time.
    pub(super) active_share: f64,
    /// Processors that an active agent takes.
    pub(super) vcpu_per_agent: f64,
    /// GB that it takes.
    pub(super) gb_per_agent: f64,
    /// Requests of an agent, each month.
    pub(super) requests_per_agent: f64,
    /// Milliseconds of a processor for each of them.
    pub(super) cpu_ms_per_request: f64,
    /// Hours of a month; `None`: as the study counted them for each host.
    pub(super) hours: Option<f64>,
}

/// What was measured of Headwater, and how it is used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Measured {
    /// Milliseconds of a processor that the server takes for a run.
    pub(super) cpu_ms_per_run: f64,
    /// And Postgres.
    pub(super) postgres_cpu_ms_per_run: f64,
    /// KiB that a run under way takes, its reader included.
    pub(super) kib_per_run: f64,
    /// MiB of a server without any.
    pub(super) base_mib: f64,
    /// GB of Postgres.
    pub(super) postgres_gb: f64,
    /// KiB that go out for a run.
    pub(super) egress_kib_per_run: f64,
    /// Seconds that a run takes, nearly all of it the model's.
    pub(super) run_seconds: f64,
    /// How much of a processor is meant to be used.
    pub(super) utilisation: f64,
}

const HOURS: f64 = 730.0;

/// What hosting costs in dollars a month, by how agents are hosted.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Costs {
    /// One service for all, as big as its agents are assumed to be.
    pub(super) shared: Option<f64>,
    /// A container for each agent.
    pub(super) per_agent: Option<f64>,
    /// For requests.
    pub(super) requests: Option<f64>,
    /// Headwater, as it was measured.
    pub(super) headwater: Option<f64>,
}

impl Scenario {
    fn all(self) -> f64 {
        self.users * self.agents
    }
}

/// Runs a second: what is asked for, or as many as keep the active agents busy.
pub(super) fn runs_per_second(
    scenario: Scenario,
    assumed: Assumed,
    measured: Measured,
    per_user_day: Option<f64>,
) -> f64 {
    match per_user_day {
        Some(runs) => scenario.users * runs / 86_400.0,
        None => scenario.all() * assumed.active_share / measured.run_seconds,
    }
}

/// What part of the time a service is awake that is put to sleep ten minutes after its last packet, with runs at random.
pub(super) fn awake(runs_per_second: f64, run_seconds: f64) -> f64 {
    1.0 - (-runs_per_second * (run_seconds + 600.0)).exp()
}

/// What this host takes.
pub(super) fn costs(
    host: &Host,
    scenario: Scenario,
    assumed: Assumed,
    measured: Measured,
    per_user_day: Option<f64>,
) -> Costs {
    let all = scenario.all();
    let active = all * assumed.active_share;
    let runs = runs_per_second(scenario, assumed, measured, per_user_day);
    let under_way = runs * measured.run_seconds;
    let vcpu = runs * (measured.cpu_ms_per_run + measured.postgres_cpu_ms_per_run) / 1000.0 / measured.utilisation;
    let gb = measured.base_mib / 1024.0 + under_way * measured.kib_per_run / 1024.0 / 1024.0 + measured.postgres_gb;
    match &host.tariff {
        Tariff::Metered { vcpu_second, gb_second, minimum, egress_gb, sleeps, study_hours } => {
            let hours = assumed.hours.or(*study_hours).unwrap_or(HOURS);
            let month = |vcpu: f64, gb: f64, hours: f64| (vcpu * vcpu_second + gb * gb_second) * hours * 3600.0;
            let one = month(assumed.vcpu_per_agent, assumed.gb_per_agent, hours);
            let seconds = assumed.hours.unwrap_or(HOURS);
            let out = runs * seconds * 3600.0 * measured.egress_kib_per_run / 1024.0 / 1024.0 * egress_gb;
            let part = if *sleeps { awake(runs, measured.run_seconds) } else { 1.0 };
            Costs {
                shared: Some(active * one),
                per_agent: Some(all * one),
                requests: None,
                headwater: Some((month(vcpu, gb, seconds) * part + out).max(*minimum)),
            }
        }
        Tariff::Nodes { node_price, node_gb, node_vcpu, per_agent_price, .. } => {
            let nodes = (gb / node_gb).max(vcpu / node_vcpu).ceil().max(1.0);
            Costs {
                // By memory alone, as the study did.
                shared: Some((active * assumed.gb_per_agent / node_gb).ceil() * node_price),
                per_agent: per_agent_price.map(|price| all * price),
                requests: None,
                headwater: Some(nodes * node_price),
            }
        }
        Tariff::Requests {
            base,
            per_million_requests,
            free_million_requests,
            per_million_cpu_ms,
            free_million_cpu_ms,
        } => {
            let requests = all * assumed.requests_per_agent / 1e6;
            let cpu = requests * assumed.cpu_ms_per_request;
            let beyond = |used: f64, free: f64, price: f64| (used - free).max(0.0) * price;
            let sum = base
                + beyond(requests, *free_million_requests, *per_million_requests)
                + beyond(cpu, *free_million_cpu_ms, *per_million_cpu_ms);
            Costs { shared: None, per_agent: None, requests: Some(sum), headwater: None }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::prices::Prices;
    use super::super::{MEASURED, SCENARIOS, STUDY};
    use super::*;

    fn host(name: &str) -> Host {
        Prices::builtin().host.into_iter().find(|host| host.name == name).expect("it is in the file")
    }

    fn near(found: Option<f64>, wanted: f64) -> bool {
        // As the study rounded: to three digits, or to the dollar.
        found.is_some_and(|found| (found - wanted).abs() <= (wanted * 0.005).max(0.5))
    }

    #[test]
    fn the_table_of_the_study_comes_out_of_its_assumptions() {
        type Row = (&'static str, Option<[f64; 3]>, Option<[f64; 3]>);
        let table: [Row; 6] = [
            ("Railway", Some([200.0, 10_005.0, 100_051.0]), Some([2_001.0, 100_050.0, 1_000_500.0])),
            ("Fly.io", Some([53.5, 2_675.0, 26_750.0]), Some([638.0, 31_900.0, 319_000.0])),
            ("ECS Fargate", Some([178.0, 8_887.0, 88_867.0]), Some([1_777.0, 88_867.0, 888_672.0])),
            ("EC2", Some([75.9, 3_795.0, 37_950.0]), Some([760.0, 38_000.0, 380_000.0])),
            ("Render", Some([125.0, 6_250.0, 62_500.0]), Some([1_400.0, 70_000.0, 700_000.0])),
            ("Heroku", Some([500.0, 25_000.0, 250_000.0]), Some([1_400.0, 70_000.0, 700_000.0])),
        ];
        for (n, scenario) in SCENARIOS.into_iter().enumerate() {
            for (name, shared, per_agent) in &table {
                let found = costs(&host(name), scenario, STUDY, MEASURED, None);
                assert!(near(found.shared, shared.expect("a row")[n]), "{name}, {n}: {found:?}");
                assert!(near(found.per_agent, per_agent.expect("a row")[n]), "{name}, {n}: {found:?}");
            }
            let found = costs(&host("Cloudflare Workers"), scenario, STUDY, MEASURED, None);
            assert!(near(found.requests, [25.0, 218.0, 2_018.0][n]), "{found:?}");
            // With a month of 730 hours everywhere.
            let month = Assumed { hours: Some(730.0), ..STUDY };
            let [railway, fargate] =
                ["Railway", "ECS Fargate"].map(|name| costs(&host(name), scenario, month, MEASURED, None).shared);
            assert!(near(railway, [202.9, 10_144.0, 101_441.0][n]), "{railway:?}");
            assert!(near(fargate, [180.2, 9_010.0, 90_101.0][n]), "{fargate:?}");
        }
    }

    #[test]
    fn ours_grows_with_what_is_done_and_sleeps_when_nothing_is() {
        let railway = host("Railway");
        let at =
            |scenario, per_day| costs(&railway, scenario, STUDY, MEASURED, Some(per_day)).headwater.expect("a sum");
        let [small, large] = [SCENARIOS[0], SCENARIOS[2]];
        assert_eq!(at(small, 0.0), 5.0, "the plan's least");
        assert!(at(large, 1000.0) > at(large, 100.0) && at(large, 100.0) > at(small, 100.0));
        // A hundred people with a run a day.
        let runs = runs_per_second(small, STUDY, MEASURED, Some(1.0));
        assert!((0.45..0.55).contains(&awake(runs, 0.0)), "{}", awake(runs, 0.0));
        assert!((0.01..0.02).contains(&awake(runs * 0.02, 30.0)), "{}", awake(runs * 0.02, 30.0));
        // A machine's share of a processor counts too.
        let fly = host("Fly.io");
        let many = costs(&fly, large, STUDY, Measured { cpu_ms_per_run: 1000.0, ..MEASURED }, Some(1000.0));
        let few = costs(&fly, large, STUDY, MEASURED, Some(1000.0));
        assert!(many.headwater > few.headwater);
    }
}
