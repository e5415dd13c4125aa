import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.producer.ProducerRecord;

/**
 * What is asked of a Kafka cluster while its nodes come and go. Commands of KafkaLoad:
 *   leader BOOTSTRAP TOPIC                          node id of the leader of partition 0
 *   controller BOOTSTRAP                            node id of the active controller
 *   await-in-sync BOOTSTRAP BROKERS                 until so many brokers are there, and every replica is in sync
 *   gap BOOTSTRAP TOPIC RATE SECONDS PID SIGNAL [key=value..]
 *       records to one partition at a steady rate, default producer; after a second the signal is sent to the process:
 *       the longest time between two acknowledgements from then on; ends early when an outage is over
 *   next-topic BOOTSTRAP TOPIC PID                  kills the process, and makes a topic at once: until it is made
 *   many BOOTSTRAP TOPIC PARTITIONS                 until a topic is made, shows all leaders, took a record everywhere
 */
final class KafkaClusterLoad {
  private static final long PATIENCE_NS = 90_000_000_000L;

  static String run(String[] a) throws Exception {
    switch (a[0]) {
      case "leader": return leader(a[1], a[2]);
      case "controller": return controller(a[1]);
      case "await-in-sync": return awaitInSync(a[1], Integer.parseInt(a[2]));
      case "gap": return gap(a[1], a[2], Integer.parseInt(a[3]), Double.parseDouble(a[4]), a[5], a[6], Arrays.copyOfRange(a, 7, a.length));
      case "next-topic": return nextTopic(a[1], a[2], a[3]);
      case "many": return many(a[1], a[2], Integer.parseInt(a[3]));
      default: throw new IllegalArgumentException("no command " + a[0]);
    }
  }

  private static TopicDescription describe(Admin admin, String topic) throws Exception {
    return admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic);
  }

  private static String leader(String bootstrap, String topic) throws Exception {
    try (Admin admin = KafkaLoad.admin(bootstrap)) {
      return KafkaLoad.json("leader", describe(admin, topic).partitions().get(0).leader().id());
    }
  }

  private static String controller(String bootstrap) throws Exception {
    try (Admin admin = KafkaLoad.admin(bootstrap)) {
      return KafkaLoad.json("controller", admin.describeMetadataQuorum().quorumInfo().get().leaderId());
    }
  }

  private static String awaitInSync(String bootstrap, int brokers) throws Exception {
    long start = System.nanoTime();
    try (Admin admin = KafkaLoad.admin(bootstrap)) {
      while (System.nanoTime() - start < PATIENCE_NS) {
        try {
          var topics = admin.describeTopics(admin.listTopics().names().get()).allTopicNames().get().values();
          if (admin.describeCluster().nodes().get().size() == brokers
              && topics.stream().flatMap(t -> t.partitions().stream()).allMatch(p -> p.isr().size() == p.replicas().size())) {
            return KafkaLoad.json("took_s", (System.nanoTime() - start) / 1e9);
          }
        } catch (ExecutionException e) {
          // Somebody has gone, or is not there yet.
        }
        Thread.sleep(100);
      }
    }
    throw new IllegalStateException("not all replicas are in sync");
  }

  private static void signal(String pid, String number) throws Exception {
    if (new ProcessBuilder("kill", "-" + number, pid).start().waitFor() != 0) throw new IllegalStateException("cannot signal " + pid);
  }

  /** What the producer's thread tells, and the sending one reads in the end. */
  private static final class Acknowledgements {
    private long last;
    private long longest;
    private long longestEnd;
    private long failed;
    private boolean counting;

    synchronized void on(Exception error) {
      if (error != null) {
        failed++;
        return;
      }
      long now = System.nanoTime();
      if (counting && last != 0 && now - last > longest) {
        longest = now - last;
        longestEnd = now;
      }
      last = now;
    }
    synchronized void count() {
      counting = true;
    }
    /** There was an outage, and it is over for a while. */
    synchronized boolean settled() {
      return longest > 1_000_000_000L && last - longestEnd > 1_000_000_000L;
    }
    synchronized String told() {
      return KafkaLoad.json("longest_gap_ms", longest / 1e6, "failed", failed);
    }
  }

  private static String gap(String bootstrap, String topic, int rate, double seconds, String pid, String number, String[] settings)
      throws Exception {
    Map<String, String> config = new HashMap<>(Map.of("request.timeout.ms", "30000", "delivery.timeout.ms", "120000"));
    for (String s : settings) config.put(s.substring(0, s.indexOf('=')), s.substring(s.indexOf('=') + 1));
    List<String> pairs = new ArrayList<>();
    config.forEach((key, value) -> pairs.addAll(List.of(key, value)));
    Acknowledgements told = new Acknowledgements();
    try (var producer = KafkaLoad.producer(bootstrap, pairs.toArray(new String[0]))) {
      producer.partitionsFor(topic);
      long start = System.nanoTime();
      for (int i = 0; i < rate * seconds && !told.settled(); i++) {
        long due = start + i * 1_000_000_000L / rate;
        for (long wait; (wait = due - System.nanoTime()) > 0; ) LockSupport.parkNanos(wait);
        if (i == rate) {
          told.count();
          signal(pid, number);
        }
        producer.send(new ProducerRecord<>(topic, 0, null, new byte[200]), (m, e) -> told.on(e));
      }
      producer.close(Duration.ofSeconds(60));
    }
    return told.told();
  }

  private static String nextTopic(String bootstrap, String topic, String pid) throws Exception {
    try (Admin admin = KafkaLoad.admin(bootstrap)) {
      admin.createTopics(List.of(KafkaLoad.newTopic(topic + "-before", 1))).all().get();
      signal(pid, "9");
      long start = System.nanoTime();
      admin.createTopics(List.of(KafkaLoad.newTopic(topic, 1))).all().get();
      return KafkaLoad.json("ms", (System.nanoTime() - start) / 1e6);
    }
  }

  private static String many(String bootstrap, String topic, int partitions) throws Exception {
    try (Admin admin = KafkaLoad.admin(bootstrap);
        var producer = KafkaLoad.producer(bootstrap, "linger.ms", "0", "retry.backoff.ms", "5", "enable.idempotence", "false")) {
      admin.describeCluster().nodes().get();
      long start = System.nanoTime();
      admin.createTopics(List.of(KafkaLoad.newTopic(topic, partitions))).all().get();
      long answered = System.nanoTime();
      long led = 0;
      while (led == 0) {
        if (System.nanoTime() - start > PATIENCE_NS) throw new IllegalStateException("topic " + topic + " has no leaders");
        try {
          var found = describe(admin, topic).partitions();
          if (found.size() == partitions && found.stream().allMatch(p -> p.leader() != null)) led = System.nanoTime();
        } catch (ExecutionException e) {
          // Not known to the broker yet.
        }
      }
      List<Future<?>> sent = new ArrayList<>();
      IntStream.range(0, partitions).forEach(i -> sent.add(producer.send(new ProducerRecord<>(topic, i, null, new byte[1]))));
      for (Future<?> one : sent) one.get();
      return KafkaLoad.json("answered_s", (answered - start) / 1e9, "leading_s", (led - start) / 1e9, "taking_s",
          (System.nanoTime() - start) / 1e9);
    }
  }
}
