import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.tools.ProducerPerformance;

/**
 * Load on a Kafka server with its own Java clients. One process for all measurements, so that its code is
 * compiled by the second run at the latest: a client that starts anew each time would be measured cold.
 *
 * Reads one command a line, answers one JSON object a line ({"error": ...} if it went wrong):
 *   first-ack BOOTSTRAP TOPIC                       from now until a topic is made and a record acknowledged
 *   create BOOTSTRAP TOPIC PARTITIONS [key=value..] a topic with the given config, each partition written to once
 *   delete BOOTSTRAP TOPIC
 *   produce BOOTSTRAP TOPIC RECORDS SIZE            Kafka's ProducerPerformance: acks=all, linger 5 ms, 64 KiB
 *   lean BOOTSTRAP TOPIC RECORDS SIZE               the same by a loop that sends one value again and again
 *   consume BOOTSTRAP TOPIC RECORDS                 all partitions from the beginning, without a group
 *   rate BOOTSTRAP TOPIC RECORDS SIZE RATE          open loop, linger 0: time from due to acknowledged
 *   e2e BOOTSTRAP TOPIC RECORDS SIZE                one at a time: send, wait until it is read
 * and those of KafkaClusterLoad.
 */
public final class KafkaLoad {
  private static final long CREATE_PATIENCE_NS = 60_000_000_000L;

  public static void main(String[] args) throws IOException {
    BufferedReader commands = new BufferedReader(new InputStreamReader(System.in));
    for (String line; (line = commands.readLine()) != null; ) {
      String answer;
      try {
        answer = run(line.trim().split("\\s+"));
      } catch (Exception e) {
        answer = "{\"error\": \"" + String.valueOf(e).replaceAll("[\"\\\\\\n]", "'") + "\"}";
      }
      System.out.println(answer);
      System.out.flush();
    }
    Runtime.getRuntime().halt(0);
  }

  private static String run(String[] a) throws Exception {
    switch (a[0]) {
      case "first-ack": return firstAck(a[1], a[2]);
      case "create": return create(a[1], a[2], Integer.parseInt(a[3]), Arrays.copyOfRange(a, 4, a.length));
      case "delete": return delete(a[1], a[2]);
      case "produce": return produceByTool(a[1], a[2], Long.parseLong(a[3]), Integer.parseInt(a[4]));
      case "lean": return produce(a[1], a[2], Long.parseLong(a[3]), Integer.parseInt(a[4]));
      case "consume": return consume(a[1], a[2], Long.parseLong(a[3]));
      case "rate": return rate(a[1], a[2], Integer.parseInt(a[3]), Integer.parseInt(a[4]), Double.parseDouble(a[5]));
      case "e2e": return endToEnd(a[1], a[2], Integer.parseInt(a[3]), Integer.parseInt(a[4]));
      default: return KafkaClusterLoad.run(a);
    }
  }

  // ---- Clients. ----

  static KafkaProducer<byte[], byte[]> producer(String bootstrap, String... settings) {
    Map<String, Object> config = new HashMap<>();
    config.put("bootstrap.servers", bootstrap);
    config.put("acks", "all");
    config.put("request.timeout.ms", "10000");
    config.put("delivery.timeout.ms", "30000");
    for (int i = 0; i < settings.length; i += 2) config.put(settings[i], settings[i + 1]);
    return new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer());
  }

  private static KafkaConsumer<byte[], byte[]> consumer(String bootstrap) {
    Map<String, Object> config = new HashMap<>();
    config.put("bootstrap.servers", bootstrap);
    config.put("check.crcs", "false");
    config.put("receive.buffer.bytes", String.valueOf(2 << 20));
    return new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
  }

  static Admin admin(String bootstrap) {
    return Admin.create(Map.of("bootstrap.servers", bootstrap, "retry.backoff.ms", "10", "reconnect.backoff.ms", "5"));
  }

  /** With as many replicas as the servers have by default. */
  static NewTopic newTopic(String topic, int partitions) {
    return new NewTopic(topic, Optional.of(partitions), Optional.empty());
  }

  private static List<TopicPartition> partitions(KafkaConsumer<byte[], byte[]> consumer, String topic) {
    List<TopicPartition> all = new ArrayList<>();
    consumer.partitionsFor(topic).forEach(p -> all.add(new TopicPartition(topic, p.partition())));
    return all;
  }

  // ---- Measurements. ----

  private static String firstAck(String bootstrap, String topic) throws Exception {
    long start = System.nanoTime();
    String[] hostPort = bootstrap.split(",")[0].split(":");
    while (true) {
      try (Socket socket = new Socket()) {
        socket.connect(new InetSocketAddress(hostPort[0], Integer.parseInt(hostPort[1])), 100);
        break;
      } catch (IOException e) {
        if (System.nanoTime() - start > CREATE_PATIENCE_NS) throw e;
        Thread.sleep(2);
      }
    }
    while (true) {
      try {
        create(bootstrap, topic, 1, new String[0]);
        break;
      } catch (ExecutionException e) {  // Fewer brokers than replicas, so far.
        if (e.getCause() instanceof TopicExistsException) topic += "-again";
        if (System.nanoTime() - start > CREATE_PATIENCE_NS) throw e;
        Thread.sleep(5);
      }
    }
    return json("waited_s", (System.nanoTime() - start) / 1e9);
  }

  private static String create(String bootstrap, String topic, int partitions, String[] settings) throws Exception {
    Map<String, String> configs = new HashMap<>();
    for (String s : settings) configs.put(s.substring(0, s.indexOf('=')), s.substring(s.indexOf('=') + 1));
    try (Admin admin = admin(bootstrap)) {
      long start = System.nanoTime();
      admin.createTopics(List.of(newTopic(topic, partitions).configs(configs))).all().get();
      while (System.nanoTime() - start < CREATE_PATIENCE_NS) {
        try {
          TopicDescription found = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic);
          if (found.partitions().size() == partitions && found.partitions().stream().allMatch(p -> p.leader() != null)) {
            touch(bootstrap, topic, partitions);
            return json("took_s", (System.nanoTime() - start) / 1e9);
          }
        } catch (ExecutionException e) {
          // Not known to the broker yet.
        }
        Thread.sleep(2);
      }
    }
    throw new IllegalStateException("topic " + topic + " has no leaders");
  }

  /**
   * One record to each partition, by a producer of its own. The metadata names leaders a little before the broker
   * serves them; a first batch that is refused then can leave an idempotent producer out of sequence for good.
   */
  private static void touch(String bootstrap, String topic, int partitions) throws Exception {
    try (var producer = producer(bootstrap, "linger.ms", "0", "retry.backoff.ms", "5", "enable.idempotence", "false")) {
      for (int i = 0; i < partitions; i++) producer.send(new ProducerRecord<>(topic, i, null, new byte[1])).get();
    }
  }

  private static String delete(String bootstrap, String topic) throws Exception {
    try (Admin admin = admin(bootstrap)) {
      admin.deleteTopics(List.of(topic)).all().get();
    }
    return json("done", 1);
  }

  /** The tool that Kafka ships, which makes a random payload for each record; its own last line is the result. */
  private static String produceByTool(String bootstrap, String topic, long records, int size) throws Exception {
    PrintStream console = System.out;
    ByteArrayOutputStream said = new ByteArrayOutputStream();
    double cpu = cpuSeconds();
    System.setOut(new PrintStream(said, true));
    try {
      ProducerPerformance.main(new String[] {"--topic", topic, "--num-records", String.valueOf(records), "--record-size",
          String.valueOf(size), "--throughput", "-1", "--producer-props", "bootstrap.servers=" + bootstrap, "acks=all",
          "linger.ms=5", "batch.size=65536"});
    } finally {
      System.setOut(console);
    }
    Matcher last = Pattern.compile(records + " records sent, ([0-9.]+) records/sec").matcher(said.toString());
    if (!last.find()) throw new IllegalStateException("ProducerPerformance said no result");
    double rate = Double.parseDouble(last.group(1));
    return json("records", records, "records_per_s", rate, "mib_per_s", rate * size / (1 << 20), "client_cpu_s",
        cpuSeconds() - cpu);
  }

  private static String produce(String bootstrap, String topic, long records, int size) throws Exception {
    byte[] value = noise(size);
    AtomicLong failed = new AtomicLong();
    double cpu = cpuSeconds();
    long start;
    try (var producer = producer(bootstrap, "linger.ms", "5", "batch.size", "65536")) {
      producer.partitionsFor(topic);
      start = System.nanoTime();
      for (long i = 0; i < records; i++) {
        producer.send(new ProducerRecord<>(topic, value), (m, e) -> { if (e != null) failed.incrementAndGet(); });
      }
      producer.flush();
      return throughput(records, records * size, System.nanoTime() - start, failed.get(), cpuSeconds() - cpu);
    }
  }

  private static String consume(String bootstrap, String topic, long records) {
    double cpu = cpuSeconds();
    try (var consumer = consumer(bootstrap)) {
      List<TopicPartition> all = partitions(consumer, topic);
      long start = System.nanoTime();
      consumer.assign(all);
      consumer.seekToBeginning(all);
      long got = 0;
      long bytes = 0;
      long last = start;
      while (got < records) {
        for (var record : consumer.poll(Duration.ofMillis(200))) {
          got++;
          bytes += record.value().length;
          last = 0;
        }
        long now = System.nanoTime();
        if (last == 0) last = now;
        if (now - last > CREATE_PATIENCE_NS) throw new IllegalStateException("only " + got + " records came");
      }
      return throughput(got, bytes, System.nanoTime() - start, 0, cpuSeconds() - cpu);
    }
  }

  private static String rate(String bootstrap, String topic, int records, int size, double rate) throws Exception {
    byte[] value = noise(size);
    long[] times = new long[records];
    Semaphore done = new Semaphore(0);
    try (var producer = producer(bootstrap, "linger.ms", "0")) {
      producer.partitionsFor(topic);
      long start = System.nanoTime();
      for (int i = 0; i < records; i++) {
        long due = start + (long) (i * 1e9 / rate);
        for (long wait; (wait = due - System.nanoTime()) > 0; ) LockSupport.parkNanos(wait);
        int index = i;
        producer.send(new ProducerRecord<>(topic, 0, null, value), (m, e) -> {
          times[index] = e == null ? System.nanoTime() - due : Long.MAX_VALUE;
          done.release();
        });
      }
      done.acquire(records);
    }
    return percentiles(times);
  }

  private static String endToEnd(String bootstrap, String topic, int records, int size) throws Exception {
    TopicPartition partition = new TopicPartition(topic, 0);
    long[] times = new long[records];
    try (var producer = producer(bootstrap, "linger.ms", "0"); var consumer = consumer(bootstrap)) {
      consumer.assign(List.of(partition));
      consumer.seekToEnd(List.of(partition));
      consumer.position(partition);
      byte[] value = noise(size);
      for (int i = 0; i < records; i++) {
        long start = System.nanoTime();
        producer.send(new ProducerRecord<>(topic, 0, null, value));
        while (consumer.poll(Duration.ofSeconds(10)).isEmpty()) {
          if (System.nanoTime() - start > CREATE_PATIENCE_NS) throw new IllegalStateException("a record never came");
        }
        times[i] = System.nanoTime() - start;
      }
    }
    return percentiles(times);
  }

  // ---- Figures. ----

  private static byte[] noise(int size) {
    byte[] bytes = new byte[size];
    new Random(7).nextBytes(bytes);
    return bytes;
  }

  private static double cpuSeconds() {
    var bean = (com.sun.management.OperatingSystemMXBean) java.lang.management.ManagementFactory.getOperatingSystemMXBean();
    return bean.getProcessCpuTime() / 1e9;
  }

  private static String throughput(long records, long bytes, long ns, long failed, double cpu) {
    if (failed > 0) throw new IllegalStateException(failed + " records were not acknowledged");
    double s = ns / 1e9;
    return json("records", records, "records_per_s", records / s, "mib_per_s", bytes / s / (1 << 20), "client_cpu_s", cpu);
  }

  private static String percentiles(long[] ns) {
    Arrays.sort(ns);
    int n = ns.length;
    if (ns[n - 1] == Long.MAX_VALUE) throw new IllegalStateException("records were not acknowledged");
    return json("p50_us", at(ns, 0.5), "p90_us", at(ns, 0.9), "p99_us", at(ns, 0.99), "p999_us", at(ns, 0.999),
        "max_us", ns[n - 1] / 1e3);
  }

  private static double at(long[] sorted, double fraction) {
    return sorted[Math.min(sorted.length - 1, (int) (fraction * sorted.length))] / 1e3;
  }

  static String json(Object... pairs) {
    StringBuilder text = new StringBuilder("{");
    for (int i = 0; i < pairs.length; i += 2) {
      double value = ((Number) pairs[i + 1]).doubleValue();
      text.append(i == 0 ? "" : ", ").append('"').append(pairs[i]).append("\": ").append(String.format(Locale.ROOT, "%.6f", value));
    }
    return text.append("}").toString();
  }
}
