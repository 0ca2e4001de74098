//! What a load or a publish changes for whoever watches: gathered, and then told at once.

use std::collections::HashSet;
use std::sync::Arc;

use crate::config::{EnvironmentName, ServiceName};
use crate::versions::{Change, Live, ServiceKey};

/// How many services are told of by name. After a change of more, everything is looked at again.
const NAMED: usize = 16;

/// The services that stand otherwise than before.
#[derive(Debug, Default)]
pub(super) struct News {
    services: HashSet<ServiceKey>,
    is_of_all: bool,
}

impl News {
    /// One service.
    pub fn of(&mut self, key: &ServiceKey) {
        if self.services.len() <= NAMED {
            self.services.insert(key.clone());
        }
    }

    /// One service by its names; the process, where a file has no service yet.
    pub fn of_named(&mut self, environment: &EnvironmentName, service: Option<&ServiceName>) {
        match service {
            Some(name) => {
                let (environment, service) = (environment.clone(), name.clone());
                self.of(&ServiceKey { environment, service });
            }
            None => self.of_all(),
        }
    }

    /// The process itself, or any service.
    pub fn of_all(&mut self) {
        self.is_of_all = true;
    }

    /// Tells what was gathered.
    pub fn tell(&mut self, live: &Live) {
        let Self { services, is_of_all } = std::mem::take(self);
        let generation = live.load().generation;
        if is_of_all || services.len() > NAMED {
            live.changes().tell(Change { generation, service: None });
            return;
        }
        for key in services {
            live.changes().tell(Change { generation, service: Some(Arc::new(key)) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(service: &str) -> ServiceKey {
        ServiceKey { environment: "prod".parse().unwrap(), service: service.parse().unwrap() }
    }

    fn told(gather: impl FnOnce(&mut News)) -> Vec<Option<String>> {
        let live = Live::default();
        let mut listener = live.changes().listen();
        let mut news = News::default();
        gather(&mut news);
        news.tell(&live);
        news.tell(&live);
        let next = || listener.try_recv().ok();
        let name = |change: Change| change.service.map(|key| key.service.to_string());
        std::iter::from_fn(next).map(name).collect()
    }

    #[test]
    fn a_service_is_told_of_once() {
        assert_eq!(told(|_| {}), []);
        let twice = |news: &mut News| (0..2).for_each(|_| news.of(&key("shop")));
        assert_eq!(told(twice), [Some("shop".to_owned())]);
    }

    #[test]
    fn many_services_are_told_of_as_one_change() {
        let many = |count: usize| {
            move |news: &mut News| (0..count).for_each(|it| news.of(&key(&format!("s{it}"))))
        };
        assert_eq!(told(many(NAMED)).len(), NAMED);
        assert_eq!(told(many(NAMED + 1)), [None]);
        assert_eq!(told(many(100_000)), [None]);
        let file = |news: &mut News| news.of_named(&"prod".parse().unwrap(), None);
        assert_eq!(told(file), [None]);
    }
}
