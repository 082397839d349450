//! The way back to a device: orders for whoever is connected now. Nothing is kept for later, since
//! an order that comes hours late is worse than none.

use model::DeviceKey;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Orders that may wait for one connection.
const ORDERS_MAX: usize = 8;

/// How long a device may take to carry an order out; HJ 212-2017 table 1 has 10 s and three
/// repeats.
const ORDER_DEADLINE: Duration = Duration::from_secs(30);

/// Something that a device shall do, such as `read_interval` or `set_time`.
#[derive(Debug)]
pub struct Order {
    pub device: DeviceKey,
    pub name: String,
    /// An object; what it holds depends on the order.
    pub args: Value,
    answer: oneshot::Sender<Result<Value, OrderError>>,
}

impl Order {
    /// Tells whoever waits. Dropping an order unanswered says that the connection ended.
    pub fn answer(self, answer: Result<Value, OrderError>) {
        // Whoever asked may have given up.
        drop(self.answer.send(answer));
    }
}

/// Why an order was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    #[error("the device is not connected")]
    NotConnected,
    #[error("{0}")]
    Unsupported(String),
    #[error("{0}")]
    Invalid(String),
    #[error("the device refused: {0}")]
    Refused(String),
    #[error("the device did not answer in time")]
    NoAnswer,
}

/// Where the connections of devices are found.
#[derive(Clone, Debug, Default)]
pub struct Downlink {
    lines: Arc<Mutex<HashMap<DeviceKey, Bound>>>,
    next: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Bound {
    line: u64,
    orders: mpsc::Sender<Order>,
}

impl Downlink {
    /// Makes the line of a new connection, and the end at which its orders arrive.
    pub fn line(&self) -> (Line, mpsc::Receiver<Order>) {
        let (orders, arriving) = mpsc::channel(ORDERS_MAX);
        let line = Line {
            number: self.next.fetch_add(1, Ordering::Relaxed),
            downlink: self.clone(),
            orders,
            devices: Vec::new(),
        };
        (line, arriving)
    }

    /// Has a connected device carry an order out, and waits for its answer.
    pub async fn order(
        &self,
        device: DeviceKey,
        name: String,
        args: Value,
    ) -> Result<Value, OrderError> {
        let orders = {
            let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            let bound = lines.get(&device).ok_or(OrderError::NotConnected)?;
            bound.orders.clone()
        };
        let (answer, answered) = oneshot::channel();
        let order = Order {
            device,
            name,
            args,
            answer,
        };
        let carried_out = async {
            orders
                .send(order)
                .await
                .map_err(|_| OrderError::NotConnected)?;
            answered.await.unwrap_or(Err(OrderError::NotConnected))
        };
        tokio::time::timeout(ORDER_DEADLINE, carried_out)
            .await
            .unwrap_or(Err(OrderError::NoAnswer))
    }

    pub fn is_connected(&self, device: DeviceKey) -> bool {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.contains_key(&device)
    }
}

/// One connection, and the devices that proved to be at its other end.
#[derive(Debug)]
pub struct Line {
    number: u64,
    downlink: Downlink,
    orders: mpsc::Sender<Order>,
    devices: Vec<DeviceKey>,
}

impl Line {
    /// Takes the orders of this device from now on. A device that dials in again is reached by its
    /// newest connection.
    pub fn bind(&mut self, device: DeviceKey) {
        if self.devices.contains(&device) {
            return;
        }
        self.devices.push(device);
        let bound = Bound {
            line: self.number,
            orders: self.orders.clone(),
        };
        let mut lines = self.lines();
        lines.insert(device, bound);
    }

    fn lines(&self) -> std::sync::MutexGuard<'_, HashMap<DeviceKey, Bound>> {
        let lines = &self.downlink.lines;
        lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let mut lines = self.lines();
        for device in &self.devices {
            if lines
                .get(device)
                .is_some_and(|bound| bound.line == self.number)
            {
                lines.remove(device);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Downlink, OrderError};
    use model::DeviceKey;
    use serde_json::json;

    const DEVICE: DeviceKey = DeviceKey(1);

    #[tokio::test(start_paused = true)]
    async fn an_order_reaches_the_newest_connection_only() {
        let downlink = Downlink::default();
        let (mut older, mut old_orders) = downlink.line();
        older.bind(DEVICE);
        let (mut newer, mut new_orders) = downlink.line();
        newer.bind(DEVICE);
        // The older connection ends late, and must not take the newer one's place with it.
        drop(older);
        let asked = downlink.order(DEVICE, "read".to_owned(), json!({}));
        let carried_out = async {
            let order = new_orders.recv().await.unwrap();
            assert_eq!(order.name, "read");
            order.answer(Ok(json!({"interval_s": 30})));
        };
        let (answer, ()) = tokio::join!(asked, carried_out);
        assert_eq!(answer, Ok(json!({"interval_s": 30})));
        assert!(old_orders.try_recv().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn an_order_ends_with_the_connection_or_by_its_deadline() {
        let downlink = Downlink::default();
        let asked = |name: &str| downlink.order(DEVICE, name.to_owned(), json!({}));
        assert_eq!(asked("a").await, Err(OrderError::NotConnected));
        let (mut line, mut orders) = downlink.line();
        line.bind(DEVICE);
        let dropped = async { drop(orders.recv().await) };
        let (answer, ()) = tokio::join!(asked("b"), dropped);
        assert_eq!(answer, Err(OrderError::NotConnected));
        let kept = async { orders.recv().await };
        let (answer, order) = tokio::join!(asked("c"), kept);
        assert_eq!(answer, Err(OrderError::NoAnswer), "{order:?}");
    }
}
