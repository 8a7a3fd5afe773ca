// Checks a server with the Java client library. See ../README.md.

import io.nats.client.Connection;
import io.nats.client.ConnectionListener.Events;
import io.nats.client.Dispatcher;
import io.nats.client.ErrorListener;
import io.nats.client.Message;
import io.nats.client.Nats;
import io.nats.client.Options;
import io.nats.client.Subscription;
import io.nats.client.impl.Headers;
import io.nats.client.impl.NatsMessage;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

public final class Client {
    /** How long anything may take that should come at once. */
    static final Duration PATIENCE = Duration.ofSeconds(20);

    private interface Check {
        void run(Connection nc) throws Exception;
    }

    /** Comes when a connection is there again. */
    private static final CountDownLatch BACK = new CountDownLatch(1);

    static void expect(boolean good, String reason) {
        if (!good) {
            throw new IllegalStateException(reason);
        }
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    static String text(Message message) {
        return new String(message.getData(), StandardCharsets.UTF_8);
    }

    static Message next(Subscription sub) throws Exception {
        Message message = sub.nextMessage(PATIENCE);
        expect(message != null, "no message on " + sub.getSubject());
        return message;
    }

    /** Makes a round trip, after which every earlier delivery has come. */
    static void nothingMore(Connection nc, Subscription sub) throws Exception {
        nc.flush(PATIENCE);
        long pending = sub.getPendingMessageCount();
        expect(pending == 0, pending + " deliveries too many");
    }

    static void publishSubscribe(Connection nc) throws Exception {
        Subscription sub = nc.subscribe("java.pubsub");
        for (int i = 0; i < 100; i++) {
            byte[] payload = new byte[i];
            Arrays.fill(payload, (byte) i);
            nc.publish("java.pubsub", payload);
        }
        for (int i = 0; i < 100; i++) {
            byte[] payload = new byte[i];
            Arrays.fill(payload, (byte) i);
            expect(Arrays.equals(next(sub).getData(), payload), "message " + i + " has other bytes");
        }
        nothingMore(nc, sub);
    }

    static void wildcard(Connection nc) throws Exception {
        Subscription star = nc.subscribe("java.wild.*");
        Subscription rest = nc.subscribe("java.wild.>");
        for (String subject : List.of("java.wild", "java.wild.a", "java.wild.a.b", "java.wilder.a")) {
            nc.publish(subject, null);
        }
        expect(next(star).getSubject().equals("java.wild.a"), "* got another subject");
        nothingMore(nc, star);
        expect(next(rest).getSubject().equals("java.wild.a"), "> got another subject");
        expect(next(rest).getSubject().equals("java.wild.a.b"), "> got another subject");
        nothingMore(nc, rest);
    }

    static void headers(Connection nc) throws Exception {
        Subscription sub = nc.subscribe("java.headers");
        Headers sent = new Headers().add("Fruit", "pear", "apple").add("Colour", "red");
        nc.publish(NatsMessage.builder().subject("java.headers").headers(sent).data("payload").build());
        Message message = next(sub);
        expect(List.of("pear", "apple").equals(message.getHeaders().get("Fruit")), "other values, or another order");
        expect(List.of("red").equals(message.getHeaders().get("Colour")), "another colour");
        expect(text(message).equals("payload"), "another payload");
    }

    static void request(Connection nc) throws Exception {
        Dispatcher service = nc.createDispatcher(ask -> nc.publish(ask.getReplyTo(), bytes("re: " + text(ask))));
        service.subscribe("java.service");
        for (int i = 0; i < 20; i++) {
            Message reply = nc.request("java.service", bytes("" + i), PATIENCE);
            expect(reply != null && text(reply).equals("re: " + i), "no reply, or another, to " + i);
        }
    }

    static void noResponders(Connection nc) throws Exception {
        try {
            nc.request("java.nobody", null).get(PATIENCE.toSeconds(), TimeUnit.SECONDS);
        } catch (CancellationException nobody) {
            return;
        }
        throw new IllegalStateException("a reply");
    }

    static void queue(Connection nc) throws Exception {
        List<Subscription> members = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            members.add(nc.subscribe("java.queue", "workers"));
        }
        for (int i = 0; i < 99; i++) {
            nc.publish("java.queue", bytes("" + i));
        }
        nc.flush(PATIENCE);
        List<Integer> seen = new ArrayList<>();
        for (Subscription member : members) {
            long pending = member.getPendingMessageCount();
            expect(pending > 0, "a member got nothing");
            for (long i = 0; i < pending; i++) {
                seen.add(Integer.parseInt(text(next(member))));
            }
        }
        Collections.sort(seen);
        for (int i = 0; i < 99; i++) {
            expect(seen.size() == 99 && seen.get(i) == i, "not each message once: " + seen);
        }
    }

    static void unsubscribe(Connection nc) throws Exception {
        Subscription sub = nc.subscribe("java.unsubscribe");
        sub.unsubscribe(5);
        long before = nc.getStatistics().getInMsgs();
        for (int i = 0; i < 10; i++) {
            nc.publish("java.unsubscribe", null);
        }
        for (int i = 0; i < 5; i++) {
            next(sub);
        }
        nc.flush(PATIENCE);
        // In the statistics of the connection, because the library itself drops what comes after the fifth.
        long got = nc.getStatistics().getInMsgs() - before;
        expect(got == 5, "the server delivered " + got);
    }

    static void large(Connection nc) throws Exception {
        Subscription sub = nc.subscribe("java.large");
        byte[] payload = new byte[512 * 1024];
        for (int i = 0; i < payload.length; i++) {
            payload[i] = (byte) (i * 31);
        }
        nc.publish("java.large", payload);
        expect(Arrays.equals(next(sub).getData(), payload), "other bytes");
    }

    static void drain(Connection nc) throws Exception {
        AtomicInteger handled = new AtomicInteger();
        CountDownLatch release = new CountDownLatch(1);
        Dispatcher dispatcher = nc.createDispatcher(message -> {
            release.await();
            handled.incrementAndGet();
        });
        dispatcher.subscribe("java.drain");
        for (int i = 0; i < 100; i++) {
            nc.publish("java.drain", null);
        }
        nc.flush(PATIENCE);
        var draining = nc.drain(PATIENCE);
        release.countDown();
        expect(draining.get(PATIENCE.toSeconds(), TimeUnit.SECONDS), "it did not end in time");
        expect(nc.getStatus() == Connection.Status.CLOSED, "the connection did not close");
        expect(handled.get() == 100, handled + " of 100 messages handled");
    }

    static void reconnect(Connection nc) throws Exception {
        Subscription sub = nc.subscribe("java.reconnect");
        nc.flush(PATIENCE);
        System.out.println("restart");
        expect(BACK.await(PATIENCE.toSeconds(), TimeUnit.SECONDS), "did not come back");
        nc.publish("java.reconnect", bytes("again"));
        expect(text(next(sub)).equals("again"), "another message");
    }

    private static Connection connect(String url) throws Exception {
        return Nats.connect(new Options.Builder()
            .server(url)
            .maxReconnects(-1)
            .reconnectWait(Duration.ofMillis(50))
            .connectionListener((nc, event) -> {
                if (event == Events.RESUBSCRIBED) {
                    BACK.countDown();
                }
            })
            // A restart makes errors that are expected.
            .errorListener(new ErrorListener() { })
            .build());
    }

    public static void main(String[] args) {
        if (args.length == 2) {
            Modes.run(args[0], args[1]);
            return;
        }
        if (args.length != 1) {
            System.err.println("usage: Client URL [FOLDER]");
            System.exit(2);
        }
        Map<String, Check> checks = new LinkedHashMap<>();
        checks.put("publish_subscribe", Client::publishSubscribe);
        checks.put("wildcard", Client::wildcard);
        checks.put("headers", Client::headers);
        checks.put("request", Client::request);
        checks.put("no_responders", Client::noResponders);
        checks.put("queue", Client::queue);
        checks.put("unsubscribe", Client::unsubscribe);
        checks.put("large", Client::large);
        checks.put("drain", Client::drain);
        checks.put("reconnect", Client::reconnect);
        boolean failed = false;
        for (var check : checks.entrySet()) {
            try (Connection nc = connect(args[0])) {
                check.getValue().run(nc);
                System.out.println("ok " + check.getKey());
            } catch (Exception error) {
                failed = true;
                System.out.println("FAIL " + check.getKey() + " " + error);
            }
        }
        System.exit(failed ? 1 : 0);
    }
}
