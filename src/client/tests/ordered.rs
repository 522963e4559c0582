//! Calls in an order, against a cluster, through sockets.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::client::{Client, ClientConfig, DcTable, InvokeError, MemoryPersistence};
use crate::sandbox::policy::CallInfo;
use crate::sandbox::{Cluster, Config, Fault, Policy};
use crate::tl::api::functions::{InvokeAfterMsg, help};
use crate::tl::{Identifiable, RawObject};
use crate::trace::{Collector, Event};

/// Notes the calls, and refuses some of them once.
#[derive(Debug, Default)]
struct Watching {
    seen: Mutex<Vec<&'static str>>,
    refused: Mutex<Vec<&'static str>>,
}

impl Policy for Watching {
    fn before(&self, call: &CallInfo) -> Result<(), Fault> {
        self.seen.lock().unwrap().push(call.name);
        let mut refused = self.refused.lock().unwrap();
        match refused.iter().position(|name| *name == call.name) {
            Some(at) => {
                refused.swap_remove(at);
                Err(Fault::InputFetchError)
            }
            None => Ok(()),
        }
    }
}

struct World {
    policy: Arc<Watching>,
    cluster: Cluster,
    /// What the cluster says.
    of_cluster: Arc<Collector>,
    client: Client,
    /// What the client does.
    of_client: Arc<Collector>,
    _dir: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let (dir, policy, of_cluster) = (tempfile::tempdir().unwrap(), Arc::new(Watching::default()), Collector::new());
        let mut config = Config::new(dir.path());
        config.policy = Arc::clone(&policy) as _;
        config.tracer.0 = of_cluster.tracer();
        let cluster = Cluster::start(config).await.unwrap();
        let table = DcTable::read(&cluster.file()).unwrap();
        let of_client = Collector::new();
        let config = ClientConfig::new(table, 1, "hash");
        let client = Client::connect(config, Arc::<MemoryPersistence>::default(), of_client.tracer()).await.unwrap();
        // There is a key and a session.
        client.invoke(&help::GetNearestDc).await.unwrap();
        policy.seen.lock().unwrap().clear();
        Self { policy, cluster, of_cluster, client, of_client, _dir: dir }
    }

    fn seen(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.policy.seen.lock().unwrap())
    }

    /// Requests that were sent behind another one.
    fn ordered(&self) -> usize {
        let is_ordered = |event: &Event| matches!(event, Event::MessageSent { constructor, .. } if *constructor == InvokeAfterMsg::<RawObject>::ID);
        self.of_client.count(is_ordered)
    }

    /// Calls that the cluster refused because the one before had failed.
    fn waited_in_vain(&self) -> usize {
        let in_vain = |event: &Event| matches!(event, Event::RpcAnswered { error: Some((400, message)), .. } if message == "MSG_WAIT_FAILED");
        self.of_cluster.count(in_vain)
    }

    async fn end(self) {
        self.client.close().await;
        self.cluster.shutdown().await;
    }
}

const PATIENCE: Duration = Duration::from_secs(60);

/// Row: A.5 "invokeAfterMsg(s)"
#[tokio::test(flavor = "multi_thread")]
async fn calls_are_done_in_the_order_in_which_they_were_made() {
    let world = World::new().await;
    let ordered = world.client.ordered();
    let mut expected = Vec::new();
    let mut calls: Vec<futures_util::future::BoxFuture<'_, Result<(), InvokeError>>> = Vec::new();
    for _ in 0..20 {
        let (config, nearest) = (ordered.invoke(&help::GetConfig), ordered.invoke(&help::GetNearestDc));
        calls.push(Box::pin(async move { config.await.map(drop) }));
        calls.push(Box::pin(async move { nearest.await.map(drop) }));
        expected.extend(["help.getConfig", "help.getNearestDc"]);
    }
    // One that is given up is no obstacle.
    drop(calls.remove(7));
    expected.remove(7);
    // The order is that of the calls, whichever is looked at first.
    calls.reverse();
    let done = tokio::time::timeout(PATIENCE, futures_util::future::join_all(calls)).await.unwrap();
    assert!(done.iter().all(Result::is_ok), "{done:?}");
    assert_eq!(world.seen(), expected);
    // All but the first, and those whose predecessor was answered before they were sent.
    assert!(world.ordered() > 10, "{} were under way with the one before", world.ordered());
    world.end().await;
}

/// Row: A.5 "invokeAfterMsg(s)"
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_refused_frees_the_next_one() {
    let world = World::new().await;
    world.policy.refused.lock().unwrap().push("help.getConfig");
    let ordered = world.client.ordered();
    let (first, second) = (ordered.invoke(&help::GetConfig), ordered.invoke(&help::GetNearestDc));
    let third = ordered.invoke(&help::GetConfig);
    let (first, second, third) = tokio::time::timeout(PATIENCE, async { tokio::join!(first, second, third) }).await.unwrap();
    assert!(matches!(&first, Err(InvokeError::Rpc(error)) if error.is("INPUT_FETCH_ERROR")), "{first:?}");
    assert!(second.is_ok() && third.is_ok(), "{second:?} {third:?}");
    // The one behind the refused one was refused as well, and sent again without the caller's seeing it; the third came after that.
    assert!(world.waited_in_vain() > 0);
    assert_eq!(world.seen(), ["help.getConfig", "help.getNearestDc", "help.getConfig"]);
    world.end().await;
}
