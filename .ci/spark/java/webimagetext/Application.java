package webimagetext;

import java.net.URI;
import java.nio.file.Paths;
import java.util.List;
import java.util.stream.Collectors;
import org.apache.beam.model.pipeline.v1.RunnerApi.Pipeline;
import org.apache.beam.runners.fnexecution.provisioning.JobInfo;
import org.apache.beam.runners.jobsubmission.PortablePipelineResult;
import org.apache.beam.runners.spark.SparkPipelineOptions;
import org.apache.beam.runners.spark.SparkPipelineRunner;
import org.apache.beam.runners.spark.coders.SparkRunnerKryoRegistrator;
import org.apache.beam.runners.spark.metrics.MetricsAccumulator;
import org.apache.beam.runners.spark.translation.SparkContextFactory;
import org.apache.beam.sdk.options.ExperimentalOptions;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.status.api.v1.ExecutorSummary;
import scala.collection.JavaConverters;

/**
 * One Spark application for all jobs, and for each job as many tasks a stage as it has work for.
 *
 * <p>Beam's translator cuts every shuffle into spark.default.parallelism tasks, as it stands when the job is translated; by
 * default that is the number of cores of the executors that have come by then, and at least two. Here a job waits for the
 * executors, and the number follows from the units of work that the driver counted in its graph (experiment
 * webimagetext_units).
 */
final class Application {
  static final String NAME = "webimagetext";
  static final String UNITS = "webimagetext_units";
  static final String STEP = "webimagetext_step";

  /** Lines that the driver shows begin so; all others go to its log. */
  static final String SAID = "webimagetext: ";

  private static final String PARALLELISM = "spark.default.parallelism";
  private static final String FIRST_SECONDS = "webimagetext.first_executor_seconds";
  private static final int MOST_TASKS = 20_000;
  private static final int TASKS_A_CORE = 4;
  private static final long FURTHER_MILLIS = 60_000;
  private static final long STILL_MILLIS = 4_000;

  private final String master;
  private JavaSparkContext context;
  private boolean parallelismIsGiven;
  private boolean settled; // the executors have been waited for; those that come later are taken as they come

  Application(String master) {
    this.master = master;
  }

  /** Runs a job to its end. The next one finds the same executors, unless this one failed. */
  synchronized PortablePipelineResult run(Pipeline pipeline, JobInfo job, SparkPipelineOptions options) throws Exception {
    if (context == null || context.sc().isStopped()) {
      start();
    }
    boolean whole = false;
    try {
      prepare(options);
      PortablePipelineResult result = new SparkPipelineRunner(options).run(pipeline, job);
      result.waitUntilFinish();
      whole = true;
      return result;
    } finally {
      if (whole) {
        for (JavaRDD<?> kept : context.getPersistentRDDs().values()) {
          kept.unpersist(false);
        }
        System.gc(); // Spark removes the files of shuffles that nothing refers to any more
      } else {
        stop();
      }
    }
  }

  /** Begins the application. */
  void start() {
    SparkConf conf = new SparkConf().setAppName(NAME);
    if (!conf.contains("spark.master")) {
      conf.setMaster(master);
    }
    if (!isLocal(conf.get("spark.master")) && !conf.contains("spark.jars")) {
      conf.setJars(new String[] {ownJar()});
    }
    conf.set("spark.kryo.registrator", SparkRunnerKryoRegistrator.class.getName());
    parallelismIsGiven = conf.contains(PARALLELISM);
    try {
      context = new JavaSparkContext(conf);
    } catch (RuntimeException error) {
      String said = String.valueOf(error.getMessage()).split("\n")[0];
      throw new IllegalStateException(SAID + "no application could begin on " + conf.get("spark.master") + ": " + said, error);
    }
    MetricsAccumulator.clear();
    SparkContextFactory.setProvidedSparkContext(context);
  }

  /** Waits for executors and sets how many tasks a stage of the job has. */
  void prepare(SparkPipelineOptions options) {
    options.setUsesProvidedSparkContext(true);
    boolean local = isLocal(context.master());
    List<ExecutorSummary> executors = local ? executors(true) : awaitExecutors();
    int cores = executors.stream().mapToInt(ExecutorSummary::totalCores).sum();
    String units = ExperimentalOptions.getExperimentValue(options, UNITS);
    if (!parallelismIsGiven) {
      context.sc().conf().set(PARALLELISM, Integer.toString(tasks(units == null ? cores : Long.parseLong(units), cores)));
    }
    String step = ExperimentalOptions.getExperimentValue(options, STEP);
    step = step == null ? options.getJobName() : step.replace('_', ' ');
    context.sc().setJobGroup(step, step, false); // as Spark's console names it
    String where = local ? "" : String.format(" of %,d executors", executors.size());
    say(String.format("%s: %,d tasks a stage on %,d cores%s", step, context.defaultParallelism(), cores, where));
  }

  /**
   * How many tasks do {@code units} of work on so many cores: one a unit where units are many; where they are few, more,
   * since Spark deals them out by a hash, and with as many tasks as units a third of them would be empty.
   */
  static int tasks(long units, int cores) {
    long few = TASKS_A_CORE * Math.max(units, 1);
    return (int) Math.min(Math.min(few, Math.max(units, (long) TASKS_A_CORE * cores)), MOST_TASKS);
  }

  /** The executors, when the first has come and no more have for some seconds. */
  private List<ExecutorSummary> awaitExecutors() {
    long began = System.currentTimeMillis();
    long first = 1000L * Integer.getInteger(FIRST_SECONDS, 300);
    List<ExecutorSummary> found = executors(false);
    long changed = began;
    boolean told = false;
    int wanted = wanted();
    while (found.isEmpty() || !settled) {
      long now = System.currentTimeMillis();
      boolean complete = wanted > 0 ? found.size() >= wanted : now - changed >= STILL_MILLIS;
      if (!found.isEmpty() && (complete || now - changed >= FURTHER_MILLIS)) {
        break;
      }
      if (context.sc().isStopped()) {
        throw new IllegalStateException(SAID + "the Spark master ended the application; its log says why");
      }
      if (found.isEmpty() && now - began > first) {
        throw new IllegalStateException(
            SAID
                + ("no executor came within " + first / 1000 + " s: the cluster has no worker with the memory and the cores")
                + " that an executor asks for, or other applications hold them");
      }
      if (found.isEmpty() && !told && now - began > STILL_MILLIS) {
        say(String.format("waiting for the first executor of %s, %,d s at most", context.master(), first / 1000));
        told = true;
      }
      pause();
      List<ExecutorSummary> next = executors(false);
      if (next.size() != found.size()) {
        changed = System.currentTimeMillis();
      }
      found = next;
    }
    settled = true;
    return found;
  }

  /** How many executors the settings ask for; 0 where they leave it to the cluster. */
  private int wanted() {
    SparkConf conf = context.sc().conf();
    if (conf.getBoolean("spark.dynamicAllocation.enabled", false)) {
      return 0;
    }
    int cores = conf.getInt("spark.cores.max", 0);
    int each = conf.getInt("spark.executor.cores", 0);
    return conf.getInt("spark.executor.instances", cores > 0 && each > 0 ? cores / each : 0);
  }

  private List<ExecutorSummary> executors(boolean local) {
    List<ExecutorSummary> all = JavaConverters.seqAsJavaList(context.sc().statusStore().executorList(true));
    return local ? all : all.stream().filter(each -> !each.id().equals("driver")).collect(Collectors.toList());
  }

  void stop() {
    settled = false;
    if (context != null) {
      context.stop();
      context = null;
    }
  }

  private static void pause() {
    try {
      Thread.sleep(200);
    } catch (InterruptedException error) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted while waiting for executors", error);
    }
  }

  private static boolean isLocal(String master) {
    return master.equals("local") || master.startsWith("local[");
  }

  private static String ownJar() {
    return Paths.get(URI.create(Application.class.getProtectionDomain().getCodeSource().getLocation().toString())).toString();
  }

  private static void say(String text) {
    System.out.println(SAID + text);
    System.out.flush();
  }
}
