// Says who gets in at a server with TLS. See ../README.md.

import io.nats.client.Connection;
import io.nats.client.ErrorListener;
import io.nats.client.Nats;
import io.nats.client.Options;
import io.nats.client.Subscription;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.PKCS8EncodedKeySpec;
import java.time.Duration;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.UnaryOperator;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

final class Modes {
    private Modes() { }

    static void run(String url, String folder) {
        Path path = Path.of(folder);
        Map<String, UnaryOperator<Options.Builder>> clients = new LinkedHashMap<>();
        clients.put("trusting", builder -> builder.sslContext(context(path, false)));
        clients.put("certified", builder -> builder.sslContext(context(path, true)));
        clients.put("first", builder -> builder.sslContext(context(path, false)).tlsFirst());
        clients.put("plain", builder -> builder);
        for (var client : clients.entrySet()) {
            String answer = "yes";
            try {
                exchange(client.getValue().apply(new Options.Builder().server(url)));
            } catch (Exception error) {
                System.err.println(client.getKey() + ": " + error);
                answer = "no";
            }
            System.out.println(client.getKey() + " " + answer);
        }
        System.exit(0);
    }

    private static void exchange(Options.Builder builder) throws Exception {
        Options options = builder
            .noReconnect()
            .connectionTimeout(Duration.ofSeconds(3))
            .errorListener(new ErrorListener() { })
            .build();
        try (Connection nc = Nats.connect(options)) {
            Subscription sub = nc.subscribe("secret");
            nc.publish("secret", Client.bytes("kept"));
            Client.expect(Client.text(Client.next(sub)).equals("kept"), "another message");
        }
    }

    private static SSLContext context(Path folder, boolean hasCertificate) {
        try {
            KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
            store.load(null, null);
            store.setCertificateEntry("authority", certificate(folder.resolve("ca.pem")));
            TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
            trust.init(store);
            KeyStore own = KeyStore.getInstance(KeyStore.getDefaultType());
            own.load(null, null);
            if (hasCertificate) {
                String pem = Files.readString(folder.resolve("named.key"));
                byte[] key = Base64.getMimeDecoder().decode(pem.replaceAll("-----[A-Z ]+-----", ""));
                var spec = new PKCS8EncodedKeySpec(key);
                Certificate[] chain = {certificate(folder.resolve("named.pem"))};
                own.setKeyEntry("named", KeyFactory.getInstance("EC").generatePrivate(spec), new char[0], chain);
            }
            KeyManagerFactory keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
            keys.init(own, new char[0]);
            SSLContext context = SSLContext.getInstance("TLS");
            context.init(keys.getKeyManagers(), trust.getTrustManagers(), null);
            return context;
        } catch (Exception error) {
            throw new IllegalStateException(error);
        }
    }

    private static Certificate certificate(Path path) throws Exception {
        try (InputStream pem = Files.newInputStream(path)) {
            return CertificateFactory.getInstance("X.509").generateCertificate(pem);
        }
    }
}
