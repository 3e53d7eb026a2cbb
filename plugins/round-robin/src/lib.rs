//! scratch
use weir_sdk::{Balancer, ConfigError, Needs, NoConfig, Pick, Plugin, Server};

pub struct RoundRobin {
    schedule: Vec<u32>,
}

impl Plugin for RoundRobin {
    type Config = NoConfig;

    fn configure(NoConfig {}: NoConfig, _: &mut Needs) -> Result<Self, ConfigError> {
        Ok(Self {
            schedule: Vec::new(),
        })
    }
}

impl Balancer for RoundRobin {
    fn update(&mut self, servers: &[Server]) {
        self.schedule = (0..servers.len() as u32).collect();
    }

    fn pick(&mut self, pick: &Pick<'_>) -> Option<usize> {
        let len = self.schedule.len() as u64;
        (len > 0).then(|| self.schedule[(pick.turn % len) as usize] as usize)
    }
}

weir_sdk::export!(RoundRobin: Balancer);
