-- AlterTable
ALTER TABLE "queues" ADD COLUMN "sla_days" INTEGER NOT NULL DEFAULT 3;

-- AlterTable
ALTER TABLE "roles" ADD COLUMN "description" TEXT NOT NULL DEFAULT '';
