# SPDX-License-Identifier: Apache-2.0
"""Subscriptions that tell their troubles, and ask for images again that get lost.

DDS sends a large image in pieces. Best effort loses all of it with one piece, and with what Fast
DDS reserves by default that happens to nearly every image on one machine (README, large messages).
A subscriber cannot change what the publisher reserves, but most camera drivers offer reliable
images, of which lost pieces are sent again to those who ask.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any

from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import (
    HistoryPolicy,
    QoSCompatibility,
    QoSPolicyKind,
    QoSProfile,
    ReliabilityPolicy,
    qos_check_compatible,
    qos_policy_name_from_kind,
)
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CompressedImage, Image

INPUT_QOS = QoSProfile(
    reliability=ReliabilityPolicy.BEST_EFFORT, history=HistoryPolicy.KEEP_LAST, depth=1
)
# Durability, too: some drivers publish CameraInfo once, for late subscribers (transient local).
OVERRIDABLE = (
    QoSPolicyKind.HISTORY,
    QoSPolicyKind.DEPTH,
    QoSPolicyKind.RELIABILITY,
    QoSPolicyKind.DURABILITY,
)
# Fast DDS 2.14 now and then says 2147483647 after an image of which only a part has come.
MOST_LOST_AT_ONCE = 1000


def subscribe(
    node: LifecycleNode,
    kind: type,
    topic: str,
    callback: Callable[[Any], None],
    qos: QoSProfile,
    *,
    on_lost: Callable[[int], None] | None = None,
    overridable: tuple[QoSPolicyKind, ...] = OVERRIDABLE,
) -> Any:
    """Subscribe, with ROS's standard QoS overrides and a warning of publishers that do not fit.

    Args:
        node: Owner of the subscription.
        kind: Type of the messages.
        topic: Their topic, relative to the node.
        callback: Gets each message.
        qos: What holds where the user has not overridden it.
        on_lost: Gets the number of messages that the middleware reports as lost.
        overridable: The policies that the user may override.
    """
    resolved = node.resolve_topic_name(topic)

    def warn(event: Any) -> None:
        policy = qos_policy_name_from_kind(event.last_policy_kind)
        node.get_logger().warning(
            f"a publisher of {resolved} offers another {policy} than is asked for; nothing "
            f"will come from it (set qos_overrides.{resolved}.subscription.*)"
        )

    def lost(event: Any) -> None:
        if on_lost is not None and event.total_count_change <= MOST_LOST_AT_ONCE:
            on_lost(event.total_count_change)

    return node.create_subscription(
        kind,
        topic,
        callback,
        copy(qos),  # rclpy writes overrides into it, which are this topic's alone
        event_callbacks=SubscriptionEventCallbacks(incompatible_qos=warn, message_lost=lost),
        qos_overriding_options=QoSOverridingOptions(overridable),
    )


def incompatible_publishers(node: LifecycleNode, subscription: Any) -> list[str]:
    """Return which publishers cannot be heard now, and why; the event tells of new ones only."""
    topic, wanted = subscription.topic_name, _type_name(subscription.msg_type)
    found = []
    for publisher in node.get_publishers_info_by_topic(topic):
        name = f"{publisher.node_namespace.rstrip('/')}/{publisher.node_name}"
        offered = publisher.topic_type
        if offered != wanted:
            are_images = {offered, wanted} == {_type_name(Image), _type_name(CompressedImage)}
            advice = ": set image_transport" if are_images else ""
            found.append(f"{topic} from {name} is {offered}, not {wanted}{advice}")
            continue
        verdict, reason = qos_check_compatible(publisher.qos_profile, subscription.qos_profile)
        if verdict == QoSCompatibility.ERROR:
            found.append(f"incompatible QoS: {topic} from {name}: {reason.strip(' ;')}")
    return found


def _type_name(kind: type) -> str:
    return f"{kind.__module__.partition('.')[0]}/msg/{kind.__name__}"


class ImageSubscription:
    """Takes a camera's newest images.

    Args:
        node: Owner of the subscription.
        kind: Type of the messages.
        topic: Their topic, relative to the node.
        callback: Gets each message.
        on_lost: Gets the number of messages that the middleware reports as lost.
    """

    def __init__(
        self,
        node: LifecycleNode,
        kind: type,
        topic: str,
        callback: Callable[[Any], None],
        on_lost: Callable[[int], None],
    ) -> None:
        self._node = node
        self._arguments = (kind, topic, callback)
        self._on_lost = on_lost
        self._switched = False
        self.subscription = self._subscribe(INPUT_QOS)

    @property
    def reliability(self) -> str:
        """``best_effort`` or ``reliable``, whichever is asked for now."""
        policy: ReliabilityPolicy = self.subscription.qos_profile.reliability
        return str(policy.name.lower())

    def publishers(self) -> list[Any]:
        """Return the publishers of the topic and its type; others cannot be heard at all."""
        wanted = _type_name(self.subscription.msg_type)
        found = self._node.get_publishers_info_by_topic(self.subscription.topic_name)
        return [publisher for publisher in found if publisher.topic_type == wanted]

    def mend(self, loss: str, *, allowed: bool) -> None:
        """Ask for reliable images if there is a loss and every publisher offers them.

        Best effort is what every publisher can serve, so it comes back with one that offers no
        more.

        Args:
            loss: What there is to mend; empty if nothing is.
            allowed: Whether reliable images may be asked for; if not, best effort comes back.
        """
        offered = [publisher.qos_profile.reliability for publisher in self.publishers()]
        all_reliable = all(policy == ReliabilityPolicy.RELIABLE for policy in offered)
        topic = self.subscription.topic_name
        if self._switched and not (allowed and all_reliable):
            self._switch(INPUT_QOS, OVERRIDABLE)
            self._switched = False
            reason = "has a publisher without reliable images" if allowed else "may lose images"
            self._node.get_logger().warning(f"{topic} {reason}: back to best effort")
        elif allowed and loss and offered and all_reliable and self.reliability == "best_effort":
            qos = copy(self.subscription.qos_profile)
            qos.reliability = ReliabilityPolicy.RELIABLE
            others = tuple(kind for kind in OVERRIDABLE if kind != QoSPolicyKind.RELIABILITY)
            self._switch(qos, others)
            self._switched = True
            self._node.get_logger().warning(
                f"{loss} on {topic}; its publisher offers reliable images, which are asked for "
                "from now on (reliable_on_loss:=false keeps best effort)"
            )

    def destroy(self) -> None:
        """Unsubscribe."""
        self._node.destroy_subscription(self.subscription)

    def _switch(self, qos: QoSProfile, overridable: tuple[QoSPolicyKind, ...]) -> None:
        self.destroy()
        self.subscription = self._subscribe(qos, overridable)

    def _subscribe(
        self, qos: QoSProfile, overridable: tuple[QoSPolicyKind, ...] = OVERRIDABLE
    ) -> Any:
        return subscribe(
            self._node, *self._arguments, qos, on_lost=self._on_lost, overridable=overridable
        )
